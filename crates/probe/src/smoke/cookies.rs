//! The cookies of one measurement, by the rules of a browser.

use std::cell::RefCell;

use cookie_store::{CookieStore, RawCookie};
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use url::Url;

use crate::http::redirect::Memory;
use crate::http::reply::Reply;
use crate::http::request::Request;

#[derive(Default)]
pub(super) struct Cookies(RefCell<CookieStore>);

impl Memory for Cookies {
    fn before(&self, request: &mut Request) {
        let store = self.0.borrow();
        let kept = store.get_request_values(&request.url);
        let mut all: Vec<String> = kept
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if all.is_empty() {
            return;
        }
        let configured = request.headers.get(COOKIE);
        if let Some(configured) = configured.and_then(|value| value.to_str().ok()) {
            all.insert(0, configured.to_owned());
        }
        if let Ok(mut value) = HeaderValue::from_str(&all.join("; ")) {
            value.set_sensitive(true);
            request.headers.insert(COOKIE, value);
        }
    }

    fn after(&self, url: &Url, reply: &Reply) {
        let set = reply.headers.get_all(SET_COOKIE).iter();
        // What cannot be read is left out, as a browser would.
        let read = set.filter_map(|value| {
            let text = std::str::from_utf8(value.as_bytes()).ok()?;
            RawCookie::parse(text.to_owned()).ok()
        });
        self.0.borrow_mut().store_response_cookies(read, url);
    }
}
