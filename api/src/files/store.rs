//! Where the bytes are: a folder, or a bucket of an S3-compatible store. Objects are written once and never changed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use secrecy::{ExposeSecret, SecretString};
use tokenx_config::Files;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// How long a request to the store may take, and the signature on it holds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The settings name no usable place.
    #[error("files.endpoint and files.bucket name no bucket: {0}")]
    Settings(String),
    /// The folder.
    #[error("the folder of files: {0}")]
    Folder(#[from] io::Error),
    /// The bucket could not be reached. The address in the error is left out: it is signed.
    #[error("the bucket of files: {0}")]
    Bucket(String),
}

/// The place of all files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FileStore(Place);

#[derive(Debug, Clone)]
enum Place {
    Folder(PathBuf),
    Bucket(Arc<Remote>),
}

#[derive(Debug)]
struct Remote {
    bucket: Bucket,
    access_key: String,
    secret_key: SecretString,
    client: reqwest::Client,
}

/// What a file is called in the store, and in links to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectName<'a> {
    /// Whose it is, 24 hex.
    pub token_id: &'a str,
    /// Its own id.
    pub object_id: Uuid,
    /// Its type's.
    pub extension: &'a str,
}

impl std::fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}.{}", self.token_id, self.object_id, self.extension)
    }
}

impl FileStore {
    /// The place that the settings name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When they name none.
    pub fn open(files: &Files) -> Result<FileStore, StoreError> {
        let (Some(name), Some(access_key), Some(secret_key)) = (&files.bucket, &files.access_key, &files.secret_key)
        else {
            return Ok(FileStore(Place::Folder(files.path.clone())));
        };
        let settings = |error: &dyn std::fmt::Display| StoreError::Settings(error.to_string());
        let (endpoint, style) = match &files.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None => (format!("https://s3.{}.amazonaws.com", files.region), UrlStyle::VirtualHost),
        };
        let endpoint = endpoint.parse().map_err(|error| settings(&error))?;
        let bucket =
            Bucket::new(endpoint, style, name.clone(), files.region.clone()).map_err(|error| settings(&error))?;
        let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|error| settings(&error))?;
        let remote = Remote { bucket, access_key: access_key.clone(), secret_key: secret_key.clone(), client };
        Ok(FileStore(Place::Bucket(Arc::new(remote))))
    }

    /// Keeps a new object.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put(&self, name: ObjectName<'_>, bytes: Bytes) -> Result<(), StoreError> {
        match &self.0 {
            Place::Folder(folder) => {
                let path = folder.join(name.to_string());
                if let Some(parent) = path.parent() {
                    tokio::fs::create_dir_all(parent).await?;
                }
                let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
                file.write_all(&bytes).await?;
                // Its row is committed after this: what a row names is on the disk.
                Ok(file.sync_all().await?)
            }
            Place::Bucket(remote) => {
                let credentials = remote.credentials();
                let key = name.to_string();
                let url = remote.bucket.put_object(Some(&credentials), &key).sign(PATIENCE);
                let sent = remote.client.put(url).body(bytes).send().await;
                sent.and_then(reqwest::Response::error_for_status).map(drop).map_err(bucket)
            }
        }
    }

    /// An object's bytes; `None` where there is none of this name.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn get(&self, name: ObjectName<'_>) -> Result<Option<Bytes>, StoreError> {
        match &self.0 {
            Place::Folder(folder) => match tokio::fs::read(folder.join(name.to_string())).await {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            },
            Place::Bucket(remote) => {
                let credentials = remote.credentials();
                let key = name.to_string();
                let url = remote.bucket.get_object(Some(&credentials), &key).sign(PATIENCE);
                let answer = remote.client.get(url).send().await.map_err(bucket)?;
                if answer.status() == reqwest::StatusCode::NOT_FOUND {
                    return Ok(None);
                }
                let bytes = answer.error_for_status().map_err(bucket)?.bytes().await.map_err(bucket)?;
                Ok(Some(bytes))
            }
        }
    }

    /// Forgets an object whose row was never committed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget(&self, name: ObjectName<'_>) -> Result<(), StoreError> {
        match &self.0 {
            Place::Folder(folder) => Ok(tokio::fs::remove_file(folder.join(name.to_string())).await?),
            Place::Bucket(remote) => {
                let credentials = remote.credentials();
                let key = name.to_string();
                let url = remote.bucket.delete_object(Some(&credentials), &key).sign(PATIENCE);
                let sent = remote.client.delete(url).send().await;
                sent.and_then(reqwest::Response::error_for_status).map(drop).map_err(bucket)
            }
        }
    }
}

impl Remote {
    fn credentials(&self) -> Credentials {
        Credentials::new(self.access_key.as_str(), self.secret_key.expose_secret())
    }
}

fn bucket(error: reqwest::Error) -> StoreError {
    StoreError::Bucket(error.without_url().to_string())
}
