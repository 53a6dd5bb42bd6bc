//! From a path to whoever answers it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tower_service::Service as TowerService;

use super::codec::Raw;
use super::errors::to_status;
use super::unary::{Calls, MAX_MESSAGE_BYTES, too_large};

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Route = Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

/// The hosted contracts, and beside them health and reflection by the names of their services.
#[derive(Clone)]
pub(crate) struct Dispatch {
    calls: Arc<Calls>,
    others: Arc<Vec<(&'static str, Route)>>,
}

impl Dispatch {
    pub fn new(calls: Arc<Calls>, others: Vec<(&'static str, Route)>) -> Self {
        Self { calls, others: Arc::new(others) }
    }
}

/// A service that tonic generated, as a route.
pub(crate) fn route<S>(service: S) -> Route
where
    S: TowerService<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    Arc::new(move |request| {
        let answering = service.clone().call(request);
        Box::pin(async move { answering.await.unwrap_or_else(|never| match never {}) })
    })
}

impl TowerService<Request<Body>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let full_name = request.uri().path().trim_start_matches('/').to_owned();
        let service = full_name.split('/').next().unwrap_or_default();
        if let Some((_, route)) = self.others.iter().find(|(name, _)| *name == service) {
            let answering = route(request);
            return Box::pin(async move { Ok(answering.await) });
        }
        let calls = self.calls.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            let one = One { calls: calls.clone(), full_name };
            Ok(told(&calls, grpc.unary(one, request).await))
        })
    }
}

/// What tonic says of a message beyond the limit is said in the words of the vocabulary; our own refusals are told apart
/// by their details.
fn told(calls: &Calls, response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange && status.details().is_empty() => {
            to_status(calls.service.contracts(), &too_large()).into_http()
        }
        _ => response,
    }
}

struct One {
    calls: Arc<Calls>,
    full_name: String,
}

impl UnaryService<Bytes> for One {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (calls, full_name) = (self.calls.clone(), self.full_name.clone());
        Box::pin(async move {
            let (metadata, _, message) = request.into_parts();
            match calls.clone().answer(full_name, metadata, message).await {
                Ok(answer) => Ok(tonic::Response::new(answer)),
                Err(refusal) => Err(to_status(calls.service.contracts(), &refusal)),
            }
        })
    }
}
