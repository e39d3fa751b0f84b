//! Images and documents: brought, shown, served, taken away.

use sha2::{Digest, Sha256};
use tokenx_anvil_tests::skipped;

use super::fields::assert_documented;
use super::*;

pub(crate) const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n";

/// One black point.
pub(crate) fn png() -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], kind, data, &[0; 4]].concat()
    };
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", b"point"), chunk(b"IEND", b"")].concat()
}

/// A form as a browser sends it.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

pub(crate) const BOUNDARY: &str = "----between-the-parts";

impl Form {
    pub(crate) fn file(self, bytes: &[u8], name: &str) -> Form {
        let disposition = format!("form-data; name=\"file\"; filename=\"{name}\"");
        self.part(&format!("{disposition}\r\nContent-Type: application/octet-stream"), bytes)
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Form {
        self.part(&format!("form-data; name=\"{name}\""), text.as_bytes())
    }

    fn part(mut self, disposition: &str, bytes: &[u8]) -> Form {
        self.0.extend(format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n").as_bytes());
        self.0.extend(bytes);
        self.0.extend(b"\r\n");
        self
    }

    pub(crate) fn body(self) -> Vec<u8> {
        [self.0, format!("--{BOUNDARY}--\r\n").into_bytes()].concat()
    }
}

struct Uploads {
    ground: Ground,
    id: String,
    _folder: tempfile::TempDir,
}

impl Uploads {
    async fn with(change: impl FnOnce(&mut Settings)) -> Uploads {
        let folder = tempfile::tempdir().unwrap();
        let kit = Kit::bare_with(|settings| {
            settings.files.path = folder.path().join("files");
            settings.server.public_url = Some("https://api.example.com/".to_owned());
            change(settings);
        });
        let ground = Ground::on(kit.await).await;
        let id = ground.add(&ground.sample()).await["id"].as_str().unwrap().to_owned();
        Uploads { ground, id, _folder: folder }
    }

    async fn send(&self, what: &str, token: Option<&str>, form: Form) -> Answer {
        let url = format!("{}/v2/admin/token/{}/{what}", self.ground.kit.url, self.id);
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let request = self.ground.kit.client.post(url).header("content-type", kind).body(form.body());
        read(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    async fn bring(&self, what: &str, bytes: &[u8], name: &str) -> Answer {
        let form = Form::default().file(bytes, name);
        self.send(what, self.ground.kit.token(Role::Issuer), form).await
    }

    /// The path and query of a link that was shown.
    fn path(url: &Value) -> String {
        url.as_str().unwrap().strip_prefix("https://api.example.com").unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_image_and_a_document_are_shown_in_the_token_and_served_as_attachments() {
    let uploads = Uploads::with(|_| {}).await;
    let image = uploads.bring("images", &png(), "C:\\pictures\\front.png").await;
    assert_eq!(image.status, 201, "{}", image.text);
    let document = uploads.bring("documents", PDF, "Prospectus Größe.pdf").await;
    assert_eq!(document.status, 201, "{}", document.text);
    let token = uploads.ground.show(&uploads.id, Role::ComplianceOfficer).await.json();
    assert_documented(&token);
    let (image, document) = (&token["meta"]["images"][0], &token["meta"]["documents"][0]);
    let hash = |bytes: &[u8]| format!("{:x}", alloy::primitives::B256::from_slice(&Sha256::digest(bytes)));
    assert_eq!((&image["hash"], &image["is_default"]), (&json!(hash(&png())), &json!(false)));
    assert_eq!((&document["name"], &document["type"]), (&json!("Prospectus Größe.pdf"), &json!(1)));
    assert_eq!(document["hash"], json!(hash(PDF)));
    let path = Uploads::path(&document["url"]);
    let bare = path.split('?').next().unwrap();
    assert!(bare.starts_with(&format!("/files/{}/", uploads.id)) && bare.ends_with(".pdf"), "{bare}");
    for served in [
        uploads.ground.kit.get(&path, None).await,
        uploads.ground.kit.get(bare, uploads.ground.kit.token(Role::Issuer)).await,
    ] {
        assert_eq!((served.status.as_u16(), served.text.as_bytes()), (200, PDF));
        assert_eq!(served.header("content-type"), Some("application/pdf"));
        let disposition = "attachment; filename*=UTF-8''Prospectus%20Gr%C3%B6%C3%9Fe.pdf";
        assert_eq!(served.header("content-disposition"), Some(disposition));
        assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
        assert!(served.header("content-security-policy").unwrap().contains("sandbox"));
        assert_eq!(served.header("cache-control"), Some("private, no-store"));
    }
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn only_images_of_public_tokens_are_anyones() {
    let uploads = Uploads::with(|_| {}).await;
    uploads.bring("images", &png(), "a.png").await;
    let token = uploads.bring("documents", PDF, "a.pdf").await.json();
    let image = Uploads::path(&token["meta"]["images"][0]["url"]);
    let document = Uploads::path(&token["meta"]["documents"][0]["url"]);
    let bare = |path: &str| path.split('?').next().unwrap().to_owned();
    let kit = &uploads.ground.kit;
    let stranger = uploads.ground.stranger().await;
    for path in [bare(&image), bare(&document)] {
        assert_eq!(kit.get(&path, None).await.status, 404, "{path}");
        assert_eq!(kit.get(&path, Some(&stranger)).await.status, 404, "{path}");
        assert_eq!(kit.get(&path, kit.token(Role::Investor)).await.status, 404, "{path}");
        assert_eq!(kit.get(&path, Some("nonsense")).await.status, 401, "{path}");
        assert_eq!(kit.get(&path, kit.token(Role::TransferAgent)).await.status, 200, "{path}");
    }
    // A link opens its own file and no other.
    let signature = document.split_once('?').unwrap().1;
    assert_eq!(kit.get(&format!("{}?{signature}", bare(&image)), None).await.status, 404);
    assert_eq!(kit.get(&document, None).await.status, 200);
    assert_eq!(kit.get(&document.replace("expires=", "expires=9"), None).await.status, 404);
    let public = uploads.ground.change(&uploads.id, &json!({ "is_public": true })).await.json();
    assert_eq!(Uploads::path(&public["meta"]["images"][0]["url"]), bare(&image));
    let served = kit.get(&bare(&image), None).await;
    assert_eq!((served.status.as_u16(), served.header("content-type")), (200, Some("image/png")));
    assert_eq!(kit.get(&bare(&document), None).await.status, 404);
    for unknown in
        [bare(&image).replace(".png", ".pdf"), bare(&image).to_uppercase(), format!("/files/{}/x", uploads.id)]
    {
        assert_eq!(kit.get(&unknown, kit.token(Role::SuperAdmin)).await.status, 404, "{unknown}");
    }
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn a_link_ends() {
    let uploads = Uploads::with(|settings| settings.files.link_seconds = 1).await;
    let token = uploads.bring("documents", PDF, "a.pdf").await.json();
    let path = Uploads::path(&token["meta"]["documents"][0]["url"]);
    let answer = eventually("the link has ended", || async {
        let answer = uploads.ground.kit.get(&path, None).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn what_is_no_whole_file_of_a_known_type_is_refused() {
    let uploads = Uploads::with(|settings| settings.files.max_bytes = 100_000).await;
    let polyglot = [png(), b"PK\x03\x04 <script>alert(1)</script>".to_vec()].concat();
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let html_pdf = [b"<html>".to_vec(), PDF.to_vec()].concat();
    for what in ["images", "documents"] {
        for (bytes, name) in
            [(&polyglot[..], "a.png"), (svg, "a.svg"), (svg, "a.png"), (&html_pdf, "a.pdf"), (b"", "a.png")]
        {
            assert_eq!(refused(&uploads.bring(what, bytes, name).await), ["file"], "{what} {name}");
        }
        let large = uploads.bring(what, &vec![0; 100_001], "a.png").await;
        assert_eq!((large.status.as_u16(), large.header("content-type")), (413, Some("application/problem+json")));
        let larger = uploads.bring(what, &vec![0; 1_000_000], "a.png").await;
        assert_eq!(larger.status, 413);
    }
    assert_eq!(refused(&uploads.bring("images", PDF, "a.pdf").await), ["file"]);
    let issuer = uploads.ground.kit.token(Role::Issuer);
    assert_eq!(refused(&uploads.send("images", issuer, Form::default().text("is_default", "true")).await), ["file"]);
    let twice = Form::default().file(&png(), "a.png").file(&png(), "a.png");
    assert_eq!(refused(&uploads.send("images", issuer, twice).await), ["file"]);
    let unknown = Form::default().file(&png(), "a.png").text("colour", "red");
    assert_eq!(refused(&uploads.send("images", issuer, unknown).await), ["colour"]);
    let path = format!("/v2/admin/token/{}/images", uploads.id);
    assert_eq!(refused(&uploads.ground.kit.post(&path, issuer, &json!({})).await), ["body"]);
    let token = uploads.ground.show(&uploads.id, Role::Issuer).await.json();
    assert_eq!(token["meta"], json!({ "images": [], "documents": [] }));
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn the_same_bytes_are_one_file_and_one_image_is_the_default() {
    let uploads = Uploads::with(|_| {}).await;
    let issuer = uploads.ground.kit.token(Role::Issuer);
    let first = Form::default().file(&png(), "a.png").text("is_default", "true");
    let first = uploads.send("images", issuer, first).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = uploads.bring("images", &png(), "b.png").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["meta"]["images"].as_array().unwrap().len(), 1);
    let jpeg = b"\xff\xd8\xff\xe0 a picture \xff\xd9".to_vec();
    let second = Form::default().file(&jpeg, "c.jpg").text("is_default", "true");
    let token = uploads.send("images", issuer, second).await.json();
    let defaults: Vec<bool> =
        token["meta"]["images"].as_array().unwrap().iter().map(|image| image["is_default"] == true).collect();
    assert_eq!(defaults, [false, true]);
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn a_file_that_was_taken_away_keeps_its_entry_and_loses_its_link() {
    let uploads = Uploads::with(|_| {}).await;
    let token = uploads.bring("documents", PDF, "a.pdf").await.json();
    let document = &token["meta"]["documents"][0];
    let path = Uploads::path(&document["url"]);
    let kit = &uploads.ground.kit;
    let place = format!("/v2/admin/token/{}/documents/{}", uploads.id, document["id"].as_str().unwrap());
    let remove = async |place: &str, token: Option<&str>| kit.send(Method::DELETE, place, token, None).await;
    let stranger = uploads.ground.stranger().await;
    assert_eq!(remove(&place, Some(&stranger)).await.status, 404);
    assert_eq!(remove(&place.replace("documents", "images"), kit.token(Role::Issuer)).await.status, 404);
    let removed = remove(&place, kit.token(Role::Issuer)).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    let removed = removed.json();
    assert_documented(&removed);
    assert!(removed["meta"]["documents"][0]["deleted_at"].is_string());
    assert_eq!(kit.get(&path, kit.token(Role::SuperAdmin)).await.status, 404);
    assert_eq!(remove(&place, kit.token(Role::Issuer)).await.status, 404);
    // It may come again, as another entry.
    let again = uploads.bring("documents", PDF, "a.pdf").await;
    assert_eq!((again.status.as_u16(), again.json()["meta"]["documents"].as_array().unwrap().len()), (201, 2));
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit_log WHERE action LIKE 'token.%' ORDER BY seq")
            .fetch_all(&kit.pool)
            .await
            .unwrap();
    assert_eq!(actions, ["token.add", "token.document.add", "token.document.remove", "token.document.add"]);
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn only_its_issuer_brings_a_token_files() {
    let uploads = Uploads::with(|_| {}).await;
    let form = || Form::default().file(&png(), "a.png");
    let kit = &uploads.ground.kit;
    let stranger = uploads.ground.stranger().await;
    for (token, status) in [
        (None, 401),
        (Some(stranger.as_str()), 404),
        (kit.token(Role::Investor), 403),
        (kit.token(Role::ComplianceOfficer), 403),
    ] {
        assert_eq!(uploads.send("images", token, form()).await.status, status);
    }
    uploads.ground.kit.end().await;
}

#[tokio::test]
async fn a_bucket_keeps_files_as_a_folder_does() {
    let Ok(endpoint) = std::env::var("TOKENX_TEST_S3") else {
        return skipped("TOKENX_TEST_S3 names no S3-compatible store with a bucket `tokenx` (moto_server will do)");
    };
    let uploads = Uploads::with(|settings| {
        settings.files.bucket = Some("tokenx".to_owned());
        settings.files.endpoint = Some(endpoint);
        settings.files.access_key = Some("test".to_owned());
        settings.files.secret_key = Some("test".to_owned().into());
    })
    .await;
    let document = uploads.bring("documents", PDF, "a.pdf").await;
    assert_eq!(document.status, 201, "{}", document.text);
    let path = Uploads::path(&document.json()["meta"]["documents"][0]["url"]);
    let served = uploads.ground.kit.get(&path, None).await;
    assert_eq!((served.status.as_u16(), served.text.as_bytes()), (200, PDF));
    assert!(!uploads.ground.kit.settings.files.path.exists(), "nothing is left in a folder");
    uploads.ground.kit.end().await;
}
