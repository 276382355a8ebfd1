//! Bytes that are no request, or none that this service has: each gets an answer, and none hangs.

use std::time::Duration;

use harness::endpoint::{Endpoint, locked};
use harness::poll::until_true;
use harness::signed::{Connection, Request, send};
use keyturn_server::faults::{Fault, Kind};
use keyturn_server::{Ended, Patience};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task;
use tokio::time::timeout;

use crate::support::{ask, done, signed, token};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn other_methods_paths_contents_and_operations_are_refused_by_name() {
    let endpoint = Endpoint::start().await.unwrap();
    let whole = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    let line = |line: &str| Request {
        line: format!("{line} HTTP/1.1"),
        ..whole.clone()
    };
    let form = "application/x-www-form-urlencoded";
    for (request, status) in [
        (line("GET /"), 405),
        (line("PUT /"), 405),
        (line("POST /health"), 404),
        (line("POST /?X-Amz-Signature=00"), 404),
        (whole.clone().with("content-type", form), 415),
        (whole.clone().without("content-type"), 415),
        (signed(&endpoint, &endpoint.key, "NoSuchThing", "{}"), 400),
        (signed(&endpoint, &endpoint.key, "", "{}"), 400),
        (whole.clone().without("x-amz-target"), 400),
    ] {
        let answered = request.send(endpoint.address).await.unwrap();
        assert_eq!(
            answered.status, status,
            "{} {}",
            request.line, answered.body
        );
        let wanted =
            if request.line == "POST / HTTP/1.1" && request.header("x-amz-target").is_empty() {
                // The operation is part of what was signed.
                "InvalidSignatureException"
            } else {
                "UnknownOperationException"
            };
        assert_eq!(answered.code(), wanted, "{}", request.line);
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_without_being_quoted() {
    let endpoint = Endpoint::start().await.unwrap();
    for body in [
        "hunter2",
        "\"hunter2\"",
        "[\"hunter2\"]",
        "{\"SecretString\":\"hunter2\"",
        "{\"Name\":1,\"SecretString\":[\"hunter2\"]}",
    ] {
        let request = signed(&endpoint, &endpoint.key, "CreateSecret", body);
        let answered = request.send(endpoint.address).await.unwrap();
        assert_eq!(answered.code(), "SerializationException", "{body}");
        assert!(
            !answered.body.to_string().contains("hunter2"),
            "{}",
            answered.body
        );
    }
}

#[tokio::test]
async fn too_much_of_anything_is_refused() {
    let endpoint = Endpoint::start().await.unwrap();
    let mut large = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    large.body = format!("{{\"NextToken\":\"{}\"}}", "a".repeat(600 * 1024));
    let answered = large.send(endpoint.address).await.unwrap();
    assert_eq!(
        (answered.status, answered.code()),
        (413, "RequestEntityTooLargeException")
    );
    let mut long = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    long.headers
        .push(("x-long".to_owned(), "a".repeat(64 * 1024)));
    assert_eq!(long.send(endpoint.address).await.unwrap().status, 431);
    let mut many = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    many.headers
        .extend((0..100).map(|number| (format!("x-{number}"), "a".to_owned())));
    assert_eq!(many.send(endpoint.address).await.unwrap().status, 431);
}

/// 100 MB a second from whoever has no key would be kept otherwise.
#[tokio::test]
async fn a_body_that_nobody_has_signed_for_is_not_waited_for_to_be_refused() {
    let endpoint = Endpoint::start().await.unwrap();
    let mut stranger = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    stranger.body = "x".repeat(600 * 1024);
    let unsigned = stranger.clone().without("authorization");
    let answered = unsigned.send(endpoint.address).await.unwrap();
    assert_eq!(answered.code(), "MissingAuthenticationTokenException");
    let authorization = stranger.header("authorization").to_owned();
    let unknown = authorization.replace(&endpoint.key.id, "KTAKAAAAAAAAAAAAAAAA");
    let unknown = stranger.with("authorization", &unknown);
    let answered = unknown.send(endpoint.address).await.unwrap();
    assert_eq!(answered.code(), "UnrecognizedClientException");
    let requests = locked(&endpoint.around.requests);
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.claimed_id.as_str())
        .collect();
    assert_eq!(ids, ["", "KTAKAAAAAAAAAAAAAAAA"]);
}

#[tokio::test]
async fn a_fault_of_the_server_is_answered_and_logged() {
    let endpoint = Endpoint::start().await.unwrap();
    *locked(&endpoint.around.trail_panics) = true;
    let body = json!({"Name": "a", "SecretString": "hunter2", "ClientRequestToken": token(1)});
    let answered = ask(&endpoint, "CreateSecret", body.clone()).await;
    assert_eq!(
        (answered.status, answered.code()),
        (500, "InternalServiceError")
    );
    assert!(
        answered.message().contains("not known"),
        "{}",
        answered.message()
    );
    {
        let requests = locked(&endpoint.around.requests);
        let last = requests.last().unwrap();
        assert_eq!(
            (last.status, last.error),
            (500, Some("InternalServiceError"))
        );
    }
    *locked(&endpoint.around.trail_panics) = false;
    done(&endpoint, "CreateSecret", body).await;
}

#[tokio::test]
async fn a_chunked_body_is_a_body_and_two_lengths_are_none() {
    let endpoint = Endpoint::start().await.unwrap();
    let request = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    let head = request.clone().with("connection", "close").head();
    let (fields, _) = head.split_once("content-length").unwrap();
    let chunked = format!("{fields}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
    let answered = send(endpoint.address, chunked.as_bytes()).await.unwrap();
    assert_eq!(answered.status, 200, "{}", answered.body);
    // Each could be read as another request by somebody on the way.
    for framing in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2, 3",
        "transfer-encoding: chunked, identity",
    ] {
        let bytes = format!("{fields}{framing}\r\n\r\n{{}}");
        let answered = send(endpoint.address, bytes.as_bytes()).await.unwrap();
        assert_eq!(answered.status, 400, "{framing}");
    }
    // What is chunked is as long as its chunks say, whatever else is said; nothing is left for a second request.
    let both = format!(
        "{fields}content-length: 60\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    );
    let before = locked(&endpoint.around.requests).len();
    let answered = send(endpoint.address, both.as_bytes()).await.unwrap();
    assert!([200, 400].contains(&answered.status), "{}", answered.status);
    assert!(locked(&endpoint.around.requests).len() <= before + 1);
    let short = format!("{fields}content-length: 9\r\n\r\n{{}}");
    let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
    stream.write_all(short.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    assert_eq!(ask(&endpoint, "ListSecrets", json!({})).await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_answered_as_such() {
    let endpoint = Endpoint::start().await.unwrap();
    for bytes in [
        b"hello\r\n\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ] {
        assert_eq!(send(endpoint.address, bytes).await.unwrap().status, 400);
    }
    assert_eq!(ask(&endpoint, "ListSecrets", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_client_that_is_too_slow_loses_its_place_and_nobody_elses() {
    let patience = Patience {
        handshake: Duration::from_secs(1),
        head: Duration::from_millis(300),
        body: Duration::from_millis(300),
        connection: PATIENCE,
    };
    let endpoint = Endpoint::start_with(patience).await.unwrap();
    let request = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    let whole = request.head();
    let idle = send_and_wait(&endpoint, "");
    let slow_head = send_and_wait(&endpoint, &whole[..20]);
    let slow_body = send_and_wait(&endpoint, &whole);
    let others = done(&endpoint, "ListSecrets", json!({}));
    let (idle, slow_head, slow_body, _) = tokio::join!(idle, slow_head, slow_body, others);
    assert_eq!(idle, "");
    assert!(
        slow_head.is_empty() || slow_head.starts_with("HTTP/1.1 408"),
        "{slow_head}"
    );
    assert!(slow_body.starts_with("HTTP/1.1 408"), "{slow_body}");
    assert!(slow_body.contains("RequestTimeoutException"), "{slow_body}");
}

/// Sends so much and no more, and reads until the endpoint ends the connection.
async fn send_and_wait(endpoint: &Endpoint, text: &str) -> String {
    let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let ended = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    ended.expect("the connection is still open").unwrap();
    answer
}

#[tokio::test]
async fn a_connection_ends_after_an_answer_and_never_within_one() {
    let patience = Patience {
        connection: Duration::from_millis(300),
        ..Patience::default()
    };
    let endpoint = Endpoint::start_with(patience).await.unwrap();
    endpoint.faults.aim(Fault {
        operation: "ListSecrets".to_owned(),
        kind: Kind::Latency { ms: 600 },
        skip: 0,
        times: 1,
    });
    let request = signed(&endpoint, &endpoint.key, "ListSecrets", "{}");
    let mut connection = Connection::open(endpoint.address).await.unwrap();
    let answered = connection.ask(&request).await.unwrap();
    assert_eq!(answered.status, 200);
    assert_eq!(answered.headers["connection"], "close");
    assert!(connection.ask(&request).await.is_err());
}

#[tokio::test]
async fn a_stop_answers_what_has_arrived_and_takes_nothing_else() {
    let mut endpoint = Endpoint::start().await.unwrap();
    // Its body is still on the way when the stop comes.
    let body = json!({"Name": "late", "SecretString": "value", "ClientRequestToken": token(1)});
    let request = signed(&endpoint, &endpoint.key, "CreateSecret", &body.to_string());
    let head = request.head();
    let (start, rest) = request.body.split_at(10);
    let mut idle = TcpStream::connect(endpoint.address).await.unwrap();
    let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
    stream.write_all((head + start).as_bytes()).await.unwrap();
    // Until the server has taken both connections, which it does in order.
    done(&endpoint, "ListSecrets", json!({})).await;
    let stopping = async {
        let ended = endpoint.stop().await.unwrap();
        (ended, TcpStream::connect(endpoint.address).await.is_err())
    };
    let sending = async {
        let mut nothing = [0];
        // The idle one hears of the stop first.
        assert_eq!(idle.read(&mut nothing).await.unwrap_or(0), 0);
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((ended, is_closed), answer) = tokio::join!(stopping, sending);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(ended, Ended::InOrder);
    assert!(is_closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_does_not_undo_its_request() {
    let endpoint = Endpoint::start().await.unwrap();
    let body = json!({"Name": "left", "SecretString": "value", "ClientRequestToken": token(1)});
    let request = signed(&endpoint, &endpoint.key, "CreateSecret", &body.to_string());
    let mut text = format!("{}\r\n", request.line);
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!(
        "content-length: {}\r\n\r\n{}",
        request.body.len(),
        request.body
    );
    let mut stream = TcpStream::connect(endpoint.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    drop(stream);
    let is_answered = || {
        let requests = locked(&endpoint.around.requests);
        requests
            .iter()
            .any(|request| request.operation == "CreateSecret")
    };
    assert!(task::block_in_place(|| until_true(PATIENCE, is_answered)));
    assert_eq!(
        ask(&endpoint, "GetSecretValue", json!({"SecretId": "left"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn requests_are_logged_with_what_they_were_and_without_values() {
    let endpoint = Endpoint::start().await.unwrap();
    let body = json!({"Name": "logged", "SecretString": "hunter2", "ClientRequestToken": token(1)});
    done(&endpoint, "CreateSecret", body).await;
    ask(&endpoint, "GetSecretValue", json!({"SecretId": "hunter2"})).await;
    let requests = locked(&endpoint.around.requests);
    let lines = serde_json::to_string(&*requests).unwrap();
    assert!(!lines.contains("hunter2"), "{lines}");
    let [made, missed] = &requests[..] else {
        panic!("{lines}");
    };
    assert_eq!(
        (made.operation, made.secret.as_str(), made.status),
        ("CreateSecret", "logged", 200)
    );
    assert_eq!((made.key.as_str(), made.error), ("admin", None));
    assert_eq!((missed.secret.as_str(), missed.status), ("", 400));
    assert_eq!(missed.error, Some("ResourceNotFoundException"));
    let changes = locked(&endpoint.around.changes);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].request_id, made.request_id);
}
