//! The API of the distribution specification 1.1, "Endpoints".

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ocify::digest::Digest;
use serde_json::{Value, json};

use super::Options;
use super::auth::{Access, Guard};
use super::contents::{Contents, Manifest};
use super::http::Service;
use super::message::{Request, Response};

/// The service of a registry.
pub struct Registry {
    host: String,
    options: Options,
    guard: Arc<Guard>,
    contents: Arc<Mutex<Contents>>,
}

/// What a path names.
enum Resource<'a> {
    Root,
    Blob { repository: &'a str, digest: &'a str },
    Uploads { repository: &'a str },
    Upload { repository: &'a str, id: &'a str },
    Manifest { repository: &'a str, name: &'a str },
    Tags { repository: &'a str },
    Referrers { repository: &'a str, digest: &'a str },
}

impl<'a> Resource<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix("/v2/")?;
        if path.is_empty() {
            return Some(Resource::Root);
        }
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return Some(Resource::Tags { repository });
        }
        if let Some(repository) = path.strip_suffix("/blobs/uploads/").or(path.strip_suffix("/blobs/uploads")) {
            return Some(Resource::Uploads { repository });
        }
        let (rest, last) = path.rsplit_once('/')?;
        let (repository, kind) = rest.rsplit_once('/')?;
        Some(match kind {
            "uploads" => Resource::Upload { repository: repository.strip_suffix("/blobs")?, id: last },
            "blobs" => Resource::Blob { repository, digest: last },
            "manifests" => Resource::Manifest { repository, name: last },
            "referrers" => Resource::Referrers { repository, digest: last },
            _ => return None,
        })
    }

    fn repository(&self) -> Option<&'a str> {
        match self {
            Resource::Root => None,
            Resource::Blob { repository, .. }
            | Resource::Uploads { repository }
            | Resource::Upload { repository, .. }
            | Resource::Manifest { repository, .. }
            | Resource::Tags { repository }
            | Resource::Referrers { repository, .. } => Some(repository),
        }
    }
}

impl Service for Registry {
    fn refuses(&self, request: &Request) -> bool {
        self.guard.refuse(request, &wanted(request)).is_some()
    }

    fn answer(&self, request: &Request) -> io::Result<Response> {
        if let Some(refusal) = self.guard.refuse(request, &wanted(request)) {
            return Ok(refusal);
        }
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let method = request.method.as_str();
        let reads = matches!(method, "GET" | "HEAD");
        let answer = match Resource::of(request.path()) {
            Some(Resource::Root) if reads => {
                Response::new(200).json(&json!({})).header("Docker-Distribution-Api-Version", "registry/2.0")
            }
            Some(Resource::Blob { repository, digest }) if reads => {
                self.blob(&mut contents, request, repository, digest)
            }
            Some(Resource::Blob { repository, digest }) if method == "DELETE" && self.options.delete => {
                match digest.parse().ok().and_then(|digest| contents.repository(repository).blobs.remove(&digest)) {
                    Some(_) => Response::new(202),
                    None => Response::error(404, "BLOB_UNKNOWN", "no such blob"),
                }
            }
            Some(Resource::Uploads { repository }) if method == "POST" => {
                self.begin(&mut contents, request, repository)
            }
            Some(Resource::Upload { repository, id }) => self.upload(&mut contents, request, repository, id),
            Some(Resource::Manifest { repository, name }) => self.manifest(&mut contents, request, repository, name),
            Some(Resource::Tags { repository }) if method == "GET" => self.tags(&contents, request, repository),
            Some(Resource::Referrers { repository, digest }) if method == "GET" && self.options.referrers => {
                referrers(&mut contents, request, repository, digest)
            }
            Some(Resource::Referrers { .. }) | None => Response::new(404).body("no such endpoint\n"),
            Some(_) => Response::error(405, "UNSUPPORTED", "this registry doesn't do that"),
        };
        Ok(answer)
    }
}

/// What a request needs leave for.
fn wanted(request: &Request) -> Vec<Access> {
    let Some(repository) = Resource::of(request.path()).and_then(|resource| resource.repository().map(str::to_owned))
    else {
        return Vec::new();
    };
    let actions: &[&str] = match request.method.as_str() {
        "GET" | "HEAD" => &["pull"],
        "DELETE" => &["delete"],
        _ => &["pull", "push"],
    };
    let from = request.query("from").into_iter().filter(|_| request.method == "POST").map(|from| (from, "pull"));
    actions.iter().map(|action| (repository.clone(), *action)).chain(from).collect()
}

impl Registry {
    pub fn new(host: &str, options: Options, guard: Arc<Guard>, contents: Arc<Mutex<Contents>>) -> Self {
        Registry { host: host.to_owned(), options, guard, contents }
    }

    fn blob(&self, contents: &mut Contents, request: &Request, repository: &str, digest: &str) -> Response {
        let Ok(digest) = digest.parse::<Digest>() else {
            return Response::error(400, "DIGEST_INVALID", "not a digest");
        };
        let Some(bytes) = contents.repository(repository).blobs.get(&digest) else {
            return Response::error(404, "BLOB_UNKNOWN", "no such blob");
        };
        let answer = Response::new(200)
            .header("Content-Type", "application/octet-stream")
            .header("Docker-Content-Digest", &digest.to_string());
        let range = request.header("range").filter(|_| self.options.ranges);
        let Some(range) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
            return answer.body(&**bytes);
        };
        let length = bytes.len();
        let (first, last) = (range.0.parse().unwrap_or(0), range.1.parse().unwrap_or(length.saturating_sub(1)));
        if first >= length || first > last {
            return Response::new(416).header("Content-Range", &format!("bytes */{length}"));
        }
        let last = last.min(length - 1);
        Response { status: 206, ..answer }
            .header("Content-Range", &format!("bytes {first}-{last}/{length}"))
            .body(&bytes[first..=last])
    }

    /// `POST .../blobs/uploads/`: a mount, a whole blob, or the beginning of an upload.
    fn begin(&self, contents: &mut Contents, request: &Request, repository: &str) -> Response {
        if let ([mount], [from]) = (&request.query("mount")[..], &request.query("from")[..]) {
            let blob = mount.parse().ok().and_then(|digest| contents.repository(from).blobs.get(&digest).cloned());
            if let Some(blob) = blob {
                return created(repository, contents.repository(repository).put_blob(&blob));
            }
        } else if let [digest] = &request.query("digest")[..] {
            return finish(contents, repository, digest, &request.body);
        }
        let id = contents.begin(repository);
        self.progress(202, repository, &id, 0)
    }

    fn upload(&self, contents: &mut Contents, request: &Request, repository: &str, id: &str) -> Response {
        let Some(upload) = contents.uploads.get_mut(id).filter(|upload| upload.repository == repository) else {
            return Response::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
        };
        // The query of `Location` is part of it.
        if request.query("_state") != [state(id)] {
            return Response::error(400, "BLOB_UPLOAD_INVALID", "the upload's state is not in the query");
        }
        match request.method.as_str() {
            "GET" => self.progress(204, repository, id, upload.bytes.len()),
            "PATCH" | "PUT" => {
                let start = request.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
                if start.is_some_and(|start: usize| start != upload.bytes.len()) {
                    return self.progress(416, repository, id, upload.bytes.len());
                }
                upload.bytes.extend_from_slice(&request.body);
                if request.method == "PATCH" {
                    return self.progress(202, repository, id, upload.bytes.len());
                }
                let [digest] = &request.query("digest")[..] else {
                    return Response::error(400, "DIGEST_INVALID", "no digest");
                };
                match contents.uploads.remove(id) {
                    Some(upload) => finish(contents, repository, digest, &upload.bytes),
                    None => Response::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
                }
            }
            "DELETE" => {
                contents.uploads.remove(id);
                Response::new(204)
            }
            _ => Response::error(405, "UNSUPPORTED", "not for uploads"),
        }
    }

    /// Where to go on with an upload, and how far it is.
    fn progress(&self, status: u16, repository: &str, id: &str, length: usize) -> Response {
        let base = match self.options.absolute_locations {
            true => format!("{}://{}", self.options.scheme(), self.host),
            false => String::new(),
        };
        Response::new(status)
            .header("Location", &format!("{base}/v2/{repository}/blobs/uploads/{id}?_state={}", state(id)))
            .header("Docker-Upload-UUID", id)
            .header("Range", &format!("0-{}", length.saturating_sub(1)))
    }

    fn manifest(&self, contents: &mut Contents, request: &Request, repository: &str, name: &str) -> Response {
        let unknown = Response::error(404, "MANIFEST_UNKNOWN", "no such manifest");
        match request.method.as_str() {
            "GET" | "HEAD" => match contents.repository(repository).manifest(name) {
                Some((digest, manifest)) if accepts(request, manifest) => Response::new(200)
                    .header("Content-Type", &manifest.media_type)
                    .header("Docker-Content-Digest", &digest.to_string())
                    .body(&*manifest.bytes),
                Some(_) => Response::error(404, "MANIFEST_UNKNOWN", "of a type that is not accepted"),
                None => unknown,
            },
            "PUT" => self.put_manifest(contents, request, repository, name),
            "DELETE" if self.options.delete => {
                let repository = contents.repository(repository);
                let found = match name.parse::<Digest>() {
                    Ok(digest) => {
                        repository.tags.retain(|_, tagged| *tagged != digest);
                        repository.manifests.remove(&digest).is_some()
                    }
                    Err(_) => repository.tags.remove(name).is_some(),
                };
                if found { Response::new(202) } else { unknown }
            }
            _ => Response::error(405, "UNSUPPORTED", "this registry doesn't do that"),
        }
    }

    fn put_manifest(&self, contents: &mut Contents, request: &Request, repository: &str, name: &str) -> Response {
        let Ok(document) = serde_json::from_slice::<Value>(&request.body) else {
            return Response::error(400, "MANIFEST_INVALID", "not JSON");
        };
        let media_type = request.header("content-type").unwrap_or_default();
        if document.get("mediaType").is_some_and(|inner| inner != media_type) {
            return Response::error(400, "MANIFEST_INVALID", "Content-Type and mediaType disagree");
        }
        let store = contents.repository(repository);
        if name.contains(':') && name != Digest::of(&request.body).to_string() {
            return Response::error(400, "DIGEST_INVALID", "the manifest has another digest");
        }
        if let Some(missing) = store.missing(&document).first() {
            return Response::error(400, "MANIFEST_BLOB_UNKNOWN", &format!("{missing} is not in this repository"));
        }
        let digest = store.put_manifest(name, media_type, &request.body);
        let answer = Response::new(201)
            .header("Location", &format!("/v2/{repository}/manifests/{digest}"))
            .header("Docker-Content-Digest", &digest.to_string());
        match document["subject"]["digest"].as_str().filter(|_| self.options.referrers) {
            Some(subject) => answer.header("OCI-Subject", subject),
            None => answer,
        }
    }

    fn tags(&self, contents: &Contents, request: &Request, name: &str) -> Response {
        let Some(repository) = contents.repositories.get(name) else {
            return Response::error(404, "NAME_UNKNOWN", "no such repository");
        };
        let asked: Option<usize> = request.query("n").first().and_then(|n| n.parse().ok());
        let (n, last) = (asked.unwrap_or(usize::MAX).min(self.options.page), request.query("last"));
        let mut rest = repository.tags.keys().filter(|tag| last.first().is_none_or(|last| *tag > last));
        let tags: Vec<&String> = rest.by_ref().take(n).collect();
        let answer = Response::new(200).json(&json!({"name": name, "tags": tags}));
        match (tags.last(), rest.next()) {
            (Some(last), Some(_)) => {
                answer.header("Link", &format!("</v2/{name}/tags/list?n={n}&last={last}>; rel=\"next\""))
            }
            _ => answer,
        }
    }
}

fn referrers(contents: &mut Contents, request: &Request, repository: &str, digest: &str) -> Response {
    let filter = request.query("artifactType");
    let filter = filter.first().map(String::as_str);
    let manifests = contents.repository(repository).referrers(digest, filter);
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let answer = Response::new(200).json(&index).header("Content-Type", media_type);
    if filter.is_some() { answer.header("OCI-Filters-Applied", "artifactType") } else { answer }
}

/// Keeps a blob that has its digest.
fn finish(contents: &mut Contents, repository: &str, digest: &str, bytes: &[u8]) -> Response {
    match digest == Digest::of(bytes).to_string() {
        true => created(repository, contents.repository(repository).put_blob(bytes)),
        false => Response::error(400, "DIGEST_INVALID", "the blob has another digest"),
    }
}

fn created(repository: &str, digest: Digest) -> Response {
    Response::new(201)
        .header("Location", &format!("/v2/{repository}/blobs/{digest}"))
        .header("Docker-Content-Digest", &digest.to_string())
}

fn state(id: &str) -> String {
    format!("of/{id}=")
}

/// Without `Accept` a registry may convert a manifest; this one has nothing to convert to.
fn accepts(request: &Request, manifest: &Manifest) -> bool {
    let mut values = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept"));
    let types =
        values.by_ref().flat_map(|(_, value)| value.split(',')).map(|part| part.split(';').next().unwrap_or("").trim());
    types.into_iter().any(|accepted| accepted == "*/*" || accepted == manifest.media_type)
}
