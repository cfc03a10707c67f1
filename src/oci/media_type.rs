//! Media types of manifests, configs and layers, in both families.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::format::{Compression, MediaTypes};

/// A media type that ocify reads or writes, or another by its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaType {
    Manifest(MediaTypes),
    Index(MediaTypes),
    Config(MediaTypes),
    /// Made with [`MediaType::layer`], which knows that Docker has no media type for zstd.
    Layer(MediaTypes, Compression),
    Other(String),
}

const KNOWN: [(&str, MediaType); 12] = {
    use Compression::{Gzip, None, Zstd};
    use MediaType::{Config, Index, Layer, Manifest};
    use MediaTypes::{Docker, Oci};
    [
        ("application/vnd.oci.image.manifest.v1+json", Manifest(Oci)),
        ("application/vnd.docker.distribution.manifest.v2+json", Manifest(Docker)),
        ("application/vnd.oci.image.index.v1+json", Index(Oci)),
        ("application/vnd.docker.distribution.manifest.list.v2+json", Index(Docker)),
        ("application/vnd.oci.image.config.v1+json", Config(Oci)),
        ("application/vnd.docker.container.image.v1+json", Config(Docker)),
        ("application/vnd.oci.image.layer.v1.tar", Layer(Oci, None)),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Layer(Oci, Gzip)),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Layer(Oci, Zstd)),
        ("application/vnd.docker.image.rootfs.diff.tar", Layer(Docker, None)),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Layer(Docker, Gzip)),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Layer(Docker, Zstd)),
    ]
};

impl MediaType {
    /// The media type of a layer in `family`. Docker has none for zstd: such a layer has OCI's in either family, as
    /// containerd and BuildKit write it.
    pub fn layer(family: MediaTypes, compression: Compression) -> Self {
        match compression {
            Compression::Zstd => MediaType::Layer(MediaTypes::Oci, Compression::Zstd),
            other => MediaType::Layer(family, other),
        }
    }

    /// The same kind of blob in another family; what is not of a known kind stays as it is.
    pub fn in_family(&self, family: MediaTypes) -> Self {
        match self {
            MediaType::Manifest(_) => MediaType::Manifest(family),
            MediaType::Index(_) => MediaType::Index(family),
            MediaType::Config(_) => MediaType::Config(family),
            MediaType::Layer(_, compression) => MediaType::layer(family, *compression),
            MediaType::Other(_) => self.clone(),
        }
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        let known = KNOWN.into_iter().find(|(name, _)| *name == text);
        known.map_or_else(|| MediaType::Other(text.to_owned()), |(_, media_type)| media_type)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let MediaType::Other(text) = self {
            return f.write_str(text);
        }
        let known = KNOWN.iter().find(|(_, media_type)| media_type == self);
        f.write_str(known.map_or("", |(name, _)| name))
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(MediaType::from(String::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_media_type_has_a_text_and_reads_back() {
        for (text, media_type) in KNOWN {
            assert_eq!(media_type.to_string(), text);
            assert_eq!(MediaType::from(text).to_string(), text);
        }
        assert_eq!(
            oci_spec::image::MediaType::ImageManifest.to_string(),
            MediaType::Manifest(MediaTypes::Oci).to_string()
        );
        assert_eq!(MediaType::from("text/plain").to_string(), "text/plain");
    }

    #[test]
    fn a_zstd_layer_has_one_media_type_in_both_families() {
        let oci = MediaType::layer(MediaTypes::Oci, Compression::Zstd);
        assert_eq!(MediaType::layer(MediaTypes::Docker, Compression::Zstd), oci);
        assert_eq!(MediaType::from(oci.to_string().as_str()).in_family(MediaTypes::Docker), oci);
    }
}
