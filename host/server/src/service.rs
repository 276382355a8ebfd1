//! One request, from its head and body to its answer: what it asks, who signed it, whether that is allowed, what comes
//! of it. Knows nothing of sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, http::request::Parts};
use keyturn_store::{Clock, embedded::EmbeddedStore};
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use uuid::Uuid;

use crate::access::AccessKeys;
use crate::arn::Place;
use crate::around::{RequestLog, RequestRecord, Rotator, Trail};
use crate::error::{Answer, ApiError};
use crate::faults::{Faults, HungUp};
use crate::members::Members;
use crate::operations::{self, Call, Operation};
use crate::sigv4::{self, Verifier};

const CONTENT: &str = "application/x-amz-json-1.1";
const TARGET_PREFIX: &str = "secretsmanager.";
/// Requests that are being answered at once.
const REQUESTS_MAX: u32 = 128;
/// How long a request waits for its turn among them.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the store makes anybody wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a server works with.
pub struct Options {
    pub store: Arc<EmbeddedStore>,
    /// Decides whether a signature is too old, and what is due.
    pub clock: Arc<dyn Clock>,
    pub keys: AccessKeys,
    pub place: Place,
    pub rotator: Arc<dyn Rotator>,
    pub trail: Arc<dyn Trail>,
    pub log: Arc<dyn RequestLog>,
    /// Empty but in tests.
    pub faults: Arc<Faults>,
}

/// Answers requests.
pub struct Service {
    pub(crate) options: Options,
    turns: Semaphore,
}

impl Service {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            turns: Semaphore::new(REQUESTS_MAX as usize),
        }
    }

    /// Waits until nothing is being answered any more, for so long at the most; answers whether that is so.
    pub(crate) async fn rest(&self, patience: Duration) -> bool {
        let all = timeout(patience, self.turns.acquire_many(REQUESTS_MAX));
        all.await.is_ok()
    }

    /// What can be refused before the body is there: then nobody needs it.
    pub(crate) fn check_head(&self, head: &Parts) -> Answer<()> {
        check_form(head)?;
        self.verifier().claim(&head.headers).map(drop)
    }

    fn verifier(&self) -> Verifier<'_> {
        Verifier {
            keys: &self.options.keys,
            region: &self.options.place.region,
            now_ms: self.options.clock.now_ms(),
        }
    }

    /// The answer to a request whose own answer was lost to a fault of this server.
    pub(crate) fn broke_off(&self, client: SocketAddr) -> Response<Bytes> {
        let request_id = Uuid::new_v4().to_string();
        let error = ApiError::internal(
            "The server has a fault; whether the request took effect is not known. Read before you repeat it.",
        );
        self.options.log.record(&RequestRecord {
            at_ms: self.options.clock.now_ms(),
            request_id: request_id.clone(),
            client: client.to_string(),
            status: error.status.as_u16(),
            error: Some(error.code),
            ..RequestRecord::default()
        });
        respond(&Err(error), &request_id)
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Where a fault is to end the connection instead.
    pub(crate) async fn answer(
        &self,
        client: SocketAddr,
        head: &Parts,
        body: Answer<Bytes>,
    ) -> Result<Response<Bytes>, HungUp> {
        let began = Instant::now();
        let request_id = Uuid::new_v4().to_string();
        let mut record = RequestRecord {
            at_ms: self.options.clock.now_ms(),
            request_id: request_id.clone(),
            client: client.to_string(),
            ..RequestRecord::default()
        };
        let answer = timeout(ANSWER_TIMEOUT, self.handle(head, body, &mut record));
        let answer = answer.await.unwrap_or_else(|_| Ok(Err(too_slow())))?;
        let response = respond(&answer, &request_id);
        record.status = response.status().as_u16();
        record.error = answer.err().map(|error| error.code);
        record.duration_ms = began.elapsed().as_secs_f64() * 1000.0;
        self.options.log.record(&record);
        Ok(response)
    }

    async fn turn(&self) -> Answer<SemaphorePermit<'_>> {
        match timeout(TURN_TIMEOUT, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(ApiError::new("ThrottlingException", "Rate exceeded")),
        }
    }

    async fn handle(
        &self,
        head: &Parts,
        body: Answer<Bytes>,
        record: &mut RequestRecord,
    ) -> Result<Answer, HungUp> {
        let mut call = match self.admit(head, body, record).await {
            Ok(call) => call,
            Err(refused) => return Ok(Err(refused)),
        };
        let hit = self.options.faults.hit(call.operation);
        if let Err(fault) = hit.before().await? {
            return Ok(Err(fault));
        }
        call.stale_reads = hit.stale_reads;
        let answer = operations::run(&mut call).await;
        if let Some(secret) = &call.secret {
            record.secret = secret.to_string();
        }
        record.secrets = call.told;
        Ok(hit.after()?.and(answer))
    }

    /// What is asked and by whom, once that is beyond doubt.
    async fn admit(
        &self,
        head: &Parts,
        body: Answer<Bytes>,
        record: &mut RequestRecord,
    ) -> Answer<Call<'_>> {
        if let Some(id) = sigv4::claimed_id(&head.headers) {
            id.clone_into(&mut record.claimed_id);
        }
        let body = body?;
        let turn = self.turn().await?;
        let key = self.verifier().verify(&head.headers, &body)?;
        record.key.clone_from(&key.name);
        record.claimed_id.clear();
        // Only now, so that nobody without a key learns what there is.
        let operation = operation(&head.headers)?;
        record.operation = operation.name();
        Ok(Call {
            service: self,
            key,
            operation,
            members: Members::parse(&body)?,
            request_id: record.request_id.clone(),
            secret: None,
            told: Vec::new(),
            stale_reads: 0,
            _turn: turn,
        })
    }
}

fn too_slow() -> ApiError {
    ApiError::internal(
        "The request was not done in time; whether it took effect is not known. Read before you repeat it.",
    )
}

/// There is one path, one method and one content type.
fn check_form(head: &Parts) -> Answer<()> {
    if head.method != Method::POST {
        return Err(ApiError::new(
            "UnknownOperationException",
            "Requests of this service are POST requests to /.",
        )
        .with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if head.uri.path() != "/" || head.uri.query().is_some() {
        return Err(ApiError::new(
            "UnknownOperationException",
            "Requests of this service are POST requests to / without a query.",
        )
        .with_status(StatusCode::NOT_FOUND));
    }
    let content = head.headers.get(CONTENT_TYPE);
    let content = content.and_then(|content| content.to_str().ok());
    let kind = content.and_then(|content| content.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(CONTENT)) {
        return Err(ApiError::new(
            "UnknownOperationException",
            format!("The Content-Type of a request has to be {CONTENT}."),
        )
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Ok(())
}

fn operation(headers: &HeaderMap) -> Answer<Operation> {
    let target = headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let name = target.and_then(|target| target.strip_prefix(TARGET_PREFIX));
    name.and_then(Operation::named).ok_or_else(|| {
        ApiError::new(
            "UnknownOperationException",
            "This operation is not one that the server knows.",
        )
    })
}

fn respond(answer: &Answer, request_id: &str) -> Response<Bytes> {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body.to_string()),
        // Both spellings, because the service has used both and clients read either.
        Err(error) => (
            error.status,
            json!({"__type": error.code, "Message": error.message, "message": error.message})
                .to_string(),
        ),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let length = HeaderValue::from(response.body().len());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
    headers.insert(CONTENT_LENGTH, length);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Err(error) = answer {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error.code));
    }
    response
}
