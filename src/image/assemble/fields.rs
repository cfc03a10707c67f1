//! Checks of the spec's fields whose values an engine would refuse, or take for something else.

use std::collections::BTreeMap;

use crate::image::ImageError;
use crate::oci::{HealthConfig, Reference};
use crate::path::ImagePath;
use crate::target::Healthcheck;

/// The error that `field` has this problem.
pub fn problem<T>(field: &'static str, problem: impl Into<String>) -> Result<T, ImageError> {
    Err(ImageError::Field { field, problem: problem.into() })
}

/// Checks a text that is one line.
pub fn check_text(field: &'static str, text: &str) -> Result<(), ImageError> {
    if text.is_empty() || text.contains(char::is_control) {
        return problem(field, "should be a text that is not empty and has no control characters");
    }
    Ok(())
}

/// Checks the arguments of a program: they reach it as C strings.
pub fn check_arguments(field: &'static str, arguments: &[String]) -> Result<(), ImageError> {
    match arguments.iter().find(|argument| argument.contains('\0')) {
        Some(_) => problem(field, "an argument has a NUL byte, which no program can be given"),
        None => Ok(()),
    }
}

/// Checks the keys of a map: engines refuse an empty one.
pub fn check_keys(field: &'static str, map: &BTreeMap<String, String>) -> Result<(), ImageError> {
    match map.contains_key("") {
        true => problem(field, "a key is empty"),
        false => Ok(()),
    }
}

/// Checks environment variables.
pub fn check_env(env: &[(String, String)]) -> Result<(), ImageError> {
    for (at, (key, value)) in env.iter().enumerate() {
        if key.is_empty() || key.contains(['=', '\0']) {
            return problem("env", format!("`{}` is not the name of a variable", key.escape_debug()));
        }
        if value.contains('\0') {
            return problem("env", format!("the value of `{key}` has a NUL byte"));
        }
        if env[..at].iter().any(|(earlier, _)| earlier == key) {
            return problem("env", format!("`{key}` is set twice"));
        }
    }
    Ok(())
}

/// Checks a path that the config gives to the engine: absolute, with a drive letter on Windows.
pub fn check_path(field: &'static str, path: &str, os: &str) -> Result<(), ImageError> {
    let shown = path.escape_debug();
    let letter = path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    let drive = os == "windows" && letter && matches!(path.get(1..3), Some(":\\" | ":/"));
    if !path.starts_with('/') && !drive {
        return problem(field, format!("`{shown}` is not an absolute path: it should begin with `/`"));
    }
    match ImagePath::parse(path) {
        Ok(_) => Ok(()),
        Err(error) => problem(field, error.to_string()),
    }
}

/// A port as the config has it: `8080` is `8080/tcp`.
pub fn port(text: &str) -> Result<String, ImageError> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let plain = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    match number.parse::<u16>() {
        Ok(number) if plain && matches!(protocol.as_str(), "tcp" | "udp" | "sctp") => {
            Ok(format!("{number}/{protocol}"))
        }
        _ => problem(
            "ports",
            format!(
                "`{text}` is not a port: it should be 1 to 65535, with `/tcp`, `/udp` or `/sctp` behind it, one port a text"
            ),
        ),
    }
}

/// Checks a signal: a name with or without `SIG`, in any case, as engines take it, or a number.
pub fn check_signal(text: &str) -> Result<(), ImageError> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = |text: &str, range: std::ops::RangeInclusive<u32>| {
        text.bytes().all(|b| b.is_ascii_digit()) && text.parse().is_ok_and(|number| range.contains(&number))
    };
    // SIGRTMIN is 34 and SIGRTMAX 64 for a program of either C library.
    let real_time =
        ["RTMIN+", "RTMAX-"].iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|n| number(n, 1..=30)));
    if real_time || SIGNALS.contains(&name) || number(text, 1..=64) {
        return Ok(());
    }
    problem(
        "stop_signal",
        format!("`{text}` is not a signal: it should be a name such as \"SIGTERM\" or a number from 1 to 64"),
    )
}

/// The signals of signal(7), without `SIG`.
const SIGNALS: [&str; 37] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "UNUSED",
];

/// A health check in the config's units.
pub fn healthcheck(check: &Healthcheck) -> Result<HealthConfig, ImageError> {
    let form = match check.test.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["NONE"] | ["CMD-SHELL", _] => true,
        ["CMD", program, ..] => !program.is_empty(),
        _ => false,
    };
    if !form {
        let forms = "`test` should be [\"CMD\", program, argument...], [\"CMD-SHELL\", command] or [\"NONE\"]";
        return problem("healthcheck", forms);
    }
    check_arguments("healthcheck", &check.test)?;
    // Readers keep it in a signed 64-bit number of nanoseconds.
    let nanoseconds = |milliseconds: u64| match milliseconds.checked_mul(1_000_000) {
        Some(nanoseconds) if i64::try_from(nanoseconds).is_ok() => Ok(nanoseconds),
        _ => problem("healthcheck", format!("{milliseconds} ms is longer than 292 years")),
    };
    Ok(HealthConfig {
        test: check.test.clone(),
        interval: nanoseconds(check.interval_ms)?,
        timeout: nanoseconds(check.timeout_ms)?,
        start_period: nanoseconds(check.start_period_ms)?,
        start_interval: nanoseconds(check.start_interval_ms)?,
        retries: check.retries.into(),
    })
}

/// Checks the names under which an image is listed.
pub fn check_tags(tags: &[String]) -> Result<(), ImageError> {
    for tag in tags {
        match tag.parse::<Reference>() {
            Ok(Reference { digest: None, .. }) => {}
            Ok(_) => return problem("tags", format!("`{tag}` has a digest, which only the image itself can decide")),
            Err(error) => return problem("tags", error.to_string()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_normalised_or_rejected() {
        assert_eq!(port("8080").unwrap(), "8080/tcp");
        assert_eq!(port("53/UDP").unwrap(), "53/udp");
        for text in ["", "0", "65536", "-1", "+80", "080", "80-90", "80/", "80/icmp", "http", "8080:80", "80/tcp/udp"] {
            assert!(port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_are_names_or_numbers() {
        for text in ["SIGTERM", "TERM", "9", "64", "SIGRTMIN+3", "RTMAX-1", "usr1", "SigTerm"] {
            assert!(check_signal(text).is_ok(), "{text}");
        }
        for text in ["", "0", "65", "SIG", "SIGSIGTERM", "SIGRTMIN+31", "SIGRTMIN-1", "+9", "SIG9"] {
            assert!(check_signal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_absolute_for_their_system() {
        assert!(check_path("workdir", "/app", "linux").is_ok());
        assert!(check_path("workdir", "C:\\app", "windows").is_ok());
        for (path, os) in
            [("app", "linux"), ("", "linux"), ("C:\\app", "linux"), ("/a/../b", "linux"), ("/a\0", "linux")]
        {
            assert!(check_path("workdir", path, os).is_err(), "{path}");
        }
    }

    #[test]
    fn health_checks_have_one_of_three_forms() {
        let check = |test: &[&str]| Healthcheck {
            test: test.iter().map(|word| word.to_string()).collect(),
            interval_ms: 1500,
            timeout_ms: 0,
            start_period_ms: 0,
            start_interval_ms: 0,
            retries: 3,
        };
        assert_eq!(healthcheck(&check(&["CMD", "true"])).unwrap().interval, 1_500_000_000);
        for test in
            [&[][..], &["CMD"], &["CMD-SHELL"], &["CMD-SHELL", "a", "b"], &["NONE", "a"], &["curl"], &["CMD", ""]]
        {
            assert!(healthcheck(&check(test)).is_err(), "{test:?}");
        }
        let endless = Healthcheck { timeout_ms: u64::MAX / 1_000_000, ..check(&["NONE"]) };
        assert!(healthcheck(&endless).is_err());
    }
}
