//! What an image takes over from its base, and what its spec changes of that. docs/image-config.md has the table.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Image, ImageError};
use crate::oci::{ContainerConfig, ImageConfig};
use crate::target::ImageSpec;

use super::fields;

/// Fields that say how the base itself was built: Docker's classic builder wrote them, and on the new image they would
/// be wrong.
const OF_THE_BUILD: [&str; 5] = ["container", "container_config", "docker_version", "id", "parent"];

/// The same inside `config`. `OnBuild` holds instructions for whoever builds on the base: a spec has no Dockerfile in
/// which they could run, and BuildKit takes them out as well.
const OF_THE_BUILD_IN_CONFIG: [&str; 2] = ["Image", "OnBuild"];

/// The config that an image begins with on `base`.
pub fn from_base(base: &Image, spec: &ImageSpec) -> Result<ImageConfig, ImageError> {
    match &spec.platform {
        Some(wanted) if *wanted != base.platform() => {
            Err(ImageError::OtherPlatform { wanted: Box::new(wanted.clone()), base: Box::new(base.platform()) })
        }
        _ => Ok(without_build(base.config())),
    }
}

/// The config without the fields that say how the image itself was built.
pub fn without_build(config: &ImageConfig) -> ImageConfig {
    let mut config = config.clone();
    config.other.retain(|key, _| !OF_THE_BUILD.contains(&key.as_str()));
    config.config.other.retain(|key, _| !OF_THE_BUILD_IN_CONFIG.contains(&key.as_str()));
    config
}

/// Puts the spec's fields into `config`.
pub fn apply(spec: &ImageSpec, config: &mut ImageConfig) -> Result<(), ImageError> {
    if let Some(author) = &spec.author {
        fields::check_text("author", author)?;
        config.author = Some(author.clone());
    }
    if let Some(version) = &spec.os_version {
        fields::check_text("os_version", version)?;
        config.os_version = Some(version.clone());
    }
    let os = config.os.clone();
    apply_to_container(spec, &mut config.config, &os)
}

fn apply_to_container(spec: &ImageSpec, config: &mut ContainerConfig, os: &str) -> Result<(), ImageError> {
    fields::check_env(&spec.env)?;
    merge_env(&mut config.env, &spec.env);
    apply_command(spec, config)?;
    if let Some(workdir) = &spec.workdir {
        fields::check_path("workdir", workdir, os)?;
        config.working_dir.clone_from(workdir);
    }
    if let Some(user) = &spec.user {
        fields::check_text("user", user)?;
        config.user.clone_from(user);
    }
    for port in &spec.ports {
        config.exposed_ports.entry(fields::port(port)?).or_default();
    }
    for volume in &spec.volumes {
        fields::check_path("volumes", volume, os)?;
        config.volumes.entry(volume.clone()).or_default();
    }
    fields::check_keys("labels", &spec.labels)?;
    config.labels.extend(spec.labels.clone());
    if let Some(signal) = &spec.stop_signal {
        fields::check_signal(signal)?;
        config.stop_signal = Some(signal.clone());
    }
    if let Some(check) = &spec.healthcheck {
        config.healthcheck = Some(fields::healthcheck(check)?);
    }
    if !spec.onbuild.is_empty() {
        fields::check_arguments("onbuild", &spec.onbuild)?;
        config.other.insert("OnBuild".to_owned(), spec.onbuild.clone().into());
    }
    if let Some(shell) = &spec.shell {
        if shell.is_empty() {
            return fields::problem("shell", "has no program");
        }
        fields::check_arguments("shell", shell)?;
        config.shell = Some(shell.clone());
    }
    Ok(())
}

/// Entrypoint and command. An empty list clears the base's; so does a new entrypoint the base's command, which was
/// meant for the old one.
fn apply_command(spec: &ImageSpec, config: &mut ContainerConfig) -> Result<(), ImageError> {
    let filled = |arguments: &Vec<String>| (!arguments.is_empty()).then(|| arguments.clone());
    if let Some(entrypoint) = &spec.entrypoint {
        fields::check_arguments("entrypoint", entrypoint)?;
        config.entrypoint = filled(entrypoint);
        config.cmd = None;
    }
    if let Some(cmd) = &spec.cmd {
        fields::check_arguments("cmd", cmd)?;
        config.cmd = filled(cmd);
    }
    Ok(())
}

/// Sets variables: one that is there keeps its place, a new one goes to the end.
pub fn merge_env(env: &mut Vec<String>, own: &[(String, String)]) {
    let own_values: BTreeMap<&str, &str> = own.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut placed = BTreeSet::new();
    env.retain_mut(|variable| {
        let key = variable.split_once('=').map_or(variable.as_str(), |(key, _)| key);
        let Some(value) = own_values.get(key) else { return true };
        // A base that sets it twice: the first place is kept, as the last value would have counted anyway.
        let first = placed.insert(key.to_owned());
        *variable = format!("{key}={value}");
        first
    });
    let new = own.iter().filter(|(key, _)| !placed.contains(key));
    env.extend(new.map(|(key, value)| format!("{key}={value}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_the_place_that_the_base_gave_them() {
        let mut env: Vec<String> = ["PATH=/bin", "A=1", "BARE", "A=2"].map(str::to_owned).into();
        let own = [("NEW", "n"), ("A", "x=y"), ("BARE", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        merge_env(&mut env, &own);
        assert_eq!(env, ["PATH=/bin", "A=x=y", "BARE=", "NEW=n"]);
    }
}
