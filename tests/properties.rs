//! Properties of archives and trees over generated inputs.
