//! Instructions that say how the image is run: what the image's config has for them.

use crate::diagnostic::Diagnostic;
use crate::target::Healthcheck;

use super::instruction::{Command, Flag, Instruction};
use super::word::Word;

/// The ports of `8080`, `80-90/udp`, `127.0.0.1:8080:80`: the ports of the container, as the config has them.
///
/// # Errors
/// Anything else.
pub(super) fn ports(text: &str, word: &Word) -> Result<Vec<String>, Diagnostic> {
    let wrong = || {
        let error = Diagnostic::spec(format!("`{text}` is not a port")).at(word.span.clone());
        error.help("write a number from 1 to 65535 or a range, with `/tcp`, `/udp` or `/sctp` behind it: 8000-8010/udp")
    };
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let container = numbers.rsplit(':').next().unwrap_or(numbers);
    let (first, last) = container.split_once('-').unwrap_or((container, container));
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| plain && *number > 0).ok_or_else(wrong)
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// The health check of an instruction.
///
/// # Errors
/// A flag whose value is not what it should be.
pub(super) fn healthcheck(instruction: &Instruction, command: Option<&Command>) -> Result<Healthcheck, Diagnostic> {
    let time = |name: &str| instruction.flag(name).map_or(Ok(0), milliseconds);
    let test = match command {
        None => vec!["NONE".to_owned()],
        Some(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.value.clone()],
        Some(Command::Exec(words)) => ["CMD".to_owned()].into_iter().chain(words.iter().cloned()).collect(),
    };
    let retries = instruction.flag("retries").map_or(Ok(0), |flag| {
        let value = value(flag)?;
        value.value.parse().map_err(|_| {
            Diagnostic::spec(format!("`{}` is not a number of retries", value.value))
                .at(value.span.clone())
                .help("write a whole number, such as 3")
        })
    });
    Ok(Healthcheck {
        test,
        interval_ms: time("interval")?,
        timeout_ms: time("timeout")?,
        start_period_ms: time("start-period")?,
        start_interval_ms: time("start-interval")?,
        retries: retries?,
    })
}

/// The value of a flag that needs one.
pub(super) fn value(flag: &Flag) -> Result<&Word, Diagnostic> {
    let name = &flag.name;
    let missing = || Diagnostic::spec(format!("`--{}` needs a value", name.value)).at(name.span.clone());
    flag.value.as_ref().ok_or_else(|| missing().help(format!("write `--{}=VALUE`", name.value)))
}

/// A flag that is there or not, or is `true` or `false`.
pub(super) fn truth(flag: &Flag) -> Result<bool, Diagnostic> {
    match flag.value.as_ref().map(|value| value.value.as_str()) {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(Diagnostic::spec(format!("`{other}` is neither `true` nor `false`"))
            .at(flag.value.as_ref().and_then(|value| value.span.clone()))
            .help(format!("write `--{0}`, or `--{0}=false`", flag.name.value))),
    }
}

/// A time as Go writes it, `1m30s` or `1.5s`; 0, or at least one millisecond.
fn milliseconds(flag: &Flag) -> Result<u64, Diagnostic> {
    let word = value(flag)?;
    let wrong = || {
        let error = Diagnostic::spec(format!("`{}` is not a time", word.value)).at(word.span.clone());
        error.help("write whole milliseconds, such as `30s`, `1m30s` or `500ms`; 0 is the engine's default")
    };
    if word.value == "0" {
        return Ok(0);
    }
    let (mut rest, mut nanoseconds) = (word.value.as_str(), 0u128);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, behind) = rest.split_at(digits);
        let unit_ends = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let unit: u128 = match &behind[..unit_ends] {
            "ns" => 1,
            "us" | "µs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if number.len() > 18 || (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(wrong());
        }
        let parse = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<u128>().map_err(|_| wrong()) };
        nanoseconds += parse(whole)? * unit + parse(fraction)? * unit / 10u128.pow(fraction.len() as u32);
        rest = &behind[unit_ends..];
    }
    match (nanoseconds % 1_000_000, u64::try_from(nanoseconds / 1_000_000)) {
        (0, Ok(milliseconds)) if !word.value.is_empty() => Ok(milliseconds),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word { value: text.into(), span: None }
    }

    #[test]
    fn ports_are_those_of_the_container() {
        for (text, expected) in [
            ("8080", &["8080/tcp"][..]),
            ("8080:80", &["80/tcp"]),
            ("127.0.0.1:8080:80/udp", &["80/udp"]),
            ("082", &["82/tcp"]),
            ("53/SCTP", &["53/sctp"]),
            ("80-82/tcp", &["80/tcp", "81/tcp", "82/tcp"]),
        ] {
            assert_eq!(ports(text, &word(text)).unwrap(), expected, "{text}");
        }
        for text in ["", "0", "65536", "80/http", "90-80", "a", "-1", "80-"] {
            assert!(ports(text, &word(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_those_of_go() {
        let flag = |text: &str| Flag { name: word("interval"), value: Some(word(text)) };
        for (text, expected) in
            [("30s", 30_000), ("1m30s", 90_000), ("1.5s", 1500), ("500ms", 500), ("0", 0), ("0s", 0), ("2h", 7_200_000)]
        {
            assert_eq!(milliseconds(&flag(text)).unwrap(), expected, "{text}");
        }
        for text in ["", "30", "s", "1d", "1us", "1..5s", "-1s", "99999999999999999999h"] {
            assert!(milliseconds(&flag(text)).is_err(), "{text}");
        }
    }
}
