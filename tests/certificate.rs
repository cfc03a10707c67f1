//! An authority for servers on 127.0.0.1 that speak TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server needs to speak TLS with [`CERTIFICATE`].
pub fn server_config() -> Arc<rustls::ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key: Vec<u8> =
        KEY.as_bytes().chunks(2).map(|hex| u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap()).collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(key.into());
    Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
}

/// An authority made for these tests, valid from 1975 to 2999; its key was thrown away.
pub const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBUTCB+KADAgECAgEBMAoGCCqGSM49BAMCMB8xHTAbBgNVBAMMFG9jaWZ5IHRl
c3QgYXV0aG9yaXR5MCAXDTc1MDEwMTAwMDAwMFoYDzI5OTkxMjMxMDAwMDAwWjAf
MR0wGwYDVQQDDBRvY2lmeSB0ZXN0IGF1dGhvcml0eTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABOTw6RuZ4XJnXwHQp/GsF5G+dzPdNt7no+AQWE9c4bcjO8Ar3soI
wIkPlIsxLaKBBVuYgLyWxi2hzImGnStfaPajIzAhMA8GA1UdEwEB/wQFMAMBAf8w
DgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUCIAX73A1oDQebWQ/AVRBH
R5uv/JXX0Tc+yWTZHcv5uQikAiEAlcIKalW6eymt1dkcWS3nuB4Ru0Ul8gI7Qvqq
lCMTwW4=
-----END CERTIFICATE-----
";

/// The certificate of that authority for 127.0.0.1.
pub const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBZTCCAQugAwIBAgIBAjAKBggqhkjOPQQDAjAfMR0wGwYDVQQDDBRvY2lmeSB0
ZXN0IGF1dGhvcml0eTAgFw03NTAxMDEwMDAwMDBaGA8yOTk5MTIzMTAwMDAwMFow
FDESMBAGA1UEAwwJMTI3LjAuMC4xMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
WpMA9SefS7IR0jqglUrIKn+QwJCqWzMtCcbKm48yudgwQbuzmje39tKqzbKbsr5d
erwT3dv8L95Y5AjCS16K1qNBMD8wGgYDVR0RBBMwEYcEfwAAAYIJbG9jYWxob3N0
MAwGA1UdEwEB/wQCMAAwEwYDVR0lBAwwCgYIKwYBBQUHAwEwCgYIKoZIzj0EAwID
SAAwRQIgYeuiH4DULN/hBotYaRLGyniURtgnYsc34VKaH38d7oQCIQC/IXmxLUPS
V+XXhSqsL86l9j/Io7zxjYyv71DuXO4dCQ==
-----END CERTIFICATE-----
";

/// The certificate's key, PKCS #8 in hexadecimal digits. It protects nothing.
const KEY: &str = "\
308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420c7c94e154662b1ed417913c22b31\
785cdae0f4bc6ec7ceb9075919a8fb955e56a144034200045a9300f5279f4bb211d23aa0954ac82a7f90c090aa5b332d09c6\
ca9b8f32b9d83041bbb39a37b7f6d2aacdb29bb2be5d7abc13dddbfc2fde58e408c24b5e8ad6";
