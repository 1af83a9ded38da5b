//! `http`: requests to the hosts that the operator allowed. What they are checked for is the capability's.

use std::sync::Arc;
use std::time::Duration;

use encaje_bindings::base::encaje::host::http;
use encaje_capabilities::egress::{Request, Response};
use wasmtime::component::Resource;

use super::{Answer, answer, denied};
use crate::convert::problem;
use crate::state::State;

impl http::Host for State {
    async fn send(&mut self, request: http::Request) -> Answer<Resource<http::Response>> {
        let Some(egress) = self.shared.capabilities.http.clone() else {
            let line = "http = [\"HOST:443\"]";
            return Ok(Err(problem::to_guest(denied(&self.shared.name, "http", line))));
        };
        let millis = |millis: Option<u32>| millis.map(|millis| Duration::from_millis(millis.into()));
        let request = Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            secret: request.secret,
            connect_timeout: millis(request.connect_timeout_ms),
            first_byte_timeout: millis(request.first_byte_timeout_ms),
            total_timeout: millis(request.total_timeout_ms),
        };
        let traffic = Arc::clone(&self.traffic);
        match egress.send(request, self.remaining(), &traffic).await {
            Ok(response) => Ok(Ok(self.hand_out(response)?)),
            Err(problem) => answer(Err(problem)),
        }
    }
}

/// The table's own handle for a guest's one.
fn own(handle: &Resource<http::Response>) -> Resource<Response> {
    Resource::new_borrow(handle.rep())
}

impl State {
    /// An answer to read from until the visit ends, which a slow caller puts off.
    fn reading(&mut self, handle: &Resource<http::Response>) -> wasmtime::Result<&mut Response> {
        let end = self.deadline;
        let response = self.table.get_mut(&own(handle))?;
        response.until(end);
        Ok(response)
    }
}

impl http::HostResponse for State {
    async fn status(&mut self, handle: Resource<http::Response>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&own(&handle))?.status())
    }

    async fn headers(&mut self, handle: Resource<http::Response>) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.table.get(&own(&handle))?.headers())
    }

    async fn read(&mut self, handle: Resource<http::Response>, max: u32) -> Answer<Option<Vec<u8>>> {
        answer(self.reading(&handle)?.read(max).await)
    }

    async fn read_line(&mut self, handle: Resource<http::Response>) -> Answer<Option<String>> {
        answer(self.reading(&handle)?.read_line().await)
    }

    async fn drop(&mut self, handle: Resource<http::Response>) -> wasmtime::Result<()> {
        self.take_back::<Response, _>(&handle)
    }
}
