//! Canonical JSON.

use std::cell::Cell;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// JSON as encoding v1 writes it: UTF-8, no insignificant white space, keys of every object sorted bytewise.
///
/// Values whose keys come in order are written directly, in a third of the time that sorting takes. The wire types name
/// their fields in that order.
///
/// # Panics
/// If `value` has a map whose keys are not strings; no wire type has one.
pub fn canonical_json<T: Serialize>(value: &T) -> Vec<u8> {
    in_order(value).unwrap_or_else(|| {
        let mut value = serde_json::to_value(value).expect("wire types have string keys only");
        sort_keys(&mut value);
        serde_json::to_vec(&value).expect("a value can be written")
    })
}

/// `None` if some key is not greater than the one before it in its object.
fn in_order<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let sorted = Cell::new(true);
    let formatter = KeyOrder { sorted: &sorted, last: Vec::new(), key: None };
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)).ok()?;
    sorted.get().then_some(bytes)
}

/// Writes without white space and watches the order of keys.
struct KeyOrder<'a> {
    sorted: &'a Cell<bool>,
    /// The last key of every object that is open; `None` before its first.
    last: Vec<Option<Vec<u8>>>,
    /// What came of the key that is being written.
    key: Option<Vec<u8>>,
}

impl Formatter for KeyOrder<'_> {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.last.push(None);
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.last.pop();
        CompactFormatter.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.key = Some(Vec::with_capacity(32));
        CompactFormatter.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let key = self.key.take();
        if let Some(last) = self.last.last_mut() {
            if *last >= key {
                self.sorted.set(false);
            }
            *last = key;
        }
        CompactFormatter.end_object_key(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if let Some(key) = &mut self.key {
            key.extend_from_slice(fragment.as_bytes());
        }
        CompactFormatter.write_string_fragment(writer, fragment)
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        // Where such a key belongs is not worth finding out.
        if self.key.is_some() {
            self.sorted.set(false);
        }
        CompactFormatter.write_char_escape(writer, escape)
    }
}

fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // Always so, unless some dependency turns on serde_json's `preserve_order`.
            if !map.keys().is_sorted() {
                let mut pairs: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
                pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                map.extend(pairs);
            }
            map.values_mut().for_each(sort_keys);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::oci::{ImageConfig, Index, Manifest};

    #[test]
    fn canonical_json_sorts_keys_at_every_depth() {
        #[derive(Serialize)]
        struct Unsorted {
            b: [BTreeMap<&'static str, &'static str>; 1],
            a: Option<u8>,
        }
        let value = Unsorted { b: [BTreeMap::from([("z", "1"), ("a", "é")])], a: None };
        assert_eq!(in_order(&value), None);
        assert_eq!(canonical_json(&value), r#"{"a":null,"b":[{"a":"é","z":"1"}]}"#.as_bytes());
    }

    #[test]
    fn a_key_that_is_repeated_or_escaped_is_not_in_order() {
        #[derive(Serialize)]
        struct Repeated {
            a: u8,
            #[serde(flatten)]
            other: BTreeMap<String, u8>,
        }
        let with = |key: &str| Repeated { a: 1, other: BTreeMap::from([(key.to_owned(), 2)]) };
        assert_eq!(in_order(&with("a")), None);
        assert_eq!(in_order(&with("b\n")), None);
        assert_eq!(canonical_json(&with("a")), br#"{"a":2}"#);
        assert_eq!(in_order(&with("b")).unwrap(), br#"{"a":1,"b":2}"#);
    }

    /// Every field of every wire type, so that none is out of order.
    #[test]
    fn wire_types_are_written_directly() {
        fn check<T: Serialize + DeserializeOwned>(text: &str) {
            let value: T = serde_json::from_str(text).unwrap();
            let written = in_order(&value).expect("the fields are in order");
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), expected.to_string());
        }
        let digest = format!("sha256:{}", "0".repeat(64));
        let descriptor = format!(
            r#"{{"mediaType":"x/y","digest":"{digest}","size":9,"urls":["u"],"artifactType":"a/b","data":"e30=","annotations":{{"k":"v"}},
                "platform":{{"variant":"v","os.version":"1","os":"linux","architecture":"arm"}}}}"#
        );
        let head = r#""schemaVersion":2,"mediaType":"x/y","annotations":{"k":"v"}"#;
        check::<Manifest>(&format!(r#"{{{head},"config":{descriptor},"layers":[{descriptor}]}}"#));
        check::<Index>(&format!(r#"{{{head},"manifests":[{descriptor}]}}"#));
        check::<ImageConfig>(&format!(
            r#"{{"created":"c","author":"a","architecture":"arm","os":"linux","os.version":"1","variant":"v",
                "config":{{"User":"u","ExposedPorts":{{"80/tcp":{{}}}},"Env":["e"],"Entrypoint":["e"],"Cmd":["c"],
                    "Volumes":{{"/v":{{}}}},"WorkingDir":"/","Labels":{{"l":"v"}},"StopSignal":"S","Shell":["s"],
                    "Healthcheck":{{"Test":["t"],"Interval":1,"Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5}}}},
                "rootfs":{{"type":"layers","diff_ids":["{digest}"]}},
                "history":[{{"created":"c","created_by":"b","author":"a","comment":"c","empty_layer":true}}]}}"#
        ));
    }

    /// A value whose objects keep their keys in the order in which they are listed.
    #[derive(Clone, Debug, Deserialize)]
    enum Listed {
        Text(String),
        Number(i64),
        Object(Vec<(String, Listed)>),
    }

    impl Serialize for Listed {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Listed::Text(text) => serializer.serialize_str(text),
                Listed::Number(number) => serializer.serialize_i64(*number),
                Listed::Object(pairs) => serializer.collect_map(pairs.iter().map(|(key, value)| (key, value))),
            }
        }
    }

    fn listed() -> impl Strategy<Value = Listed> {
        let leaf = prop_oneof![".{0,3}".prop_map(Listed::Text), any::<i64>().prop_map(Listed::Number)];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop::collection::vec(("[a-c\"é]{0,2}", inner), 0..4).prop_map(Listed::Object)
        })
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same_bytes(value in listed()) {
            let mut sorted = serde_json::to_value(&value).unwrap();
            sort_keys(&mut sorted);
            prop_assert_eq!(canonical_json(&value), serde_json::to_vec(&sorted).unwrap());
        }
    }
}
