//! What a person should know about an archive that was read all the same.

/// At most [`Warnings::SHOWN`] texts, so that a hostile archive cannot fill the memory with them.
#[derive(Default)]
pub(super) struct Warnings {
    texts: Vec<String>,
    more: u64,
}

impl Warnings {
    const SHOWN: usize = 50;

    pub fn push(&mut self, text: impl FnOnce() -> String) {
        if self.texts.len() < Self::SHOWN {
            self.texts.push(text());
        } else {
            self.more += 1;
        }
    }

    pub fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.texts.push(format!("and {} more", self.more));
        }
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_warnings_is_bounded() {
        let mut warnings = Warnings::default();
        (0..1000).for_each(|n| warnings.push(|| format!("{n}")));
        let texts = warnings.finish();
        assert_eq!((texts.len(), texts.last().unwrap().as_str()), (51, "and 950 more"));
    }
}
