//! The cookies of one measurement, by the rules of a browser.

use std::cell::RefCell;

use cookie_store::{CookieStore, RawCookie};
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use model::Redactor;
use url::Url;

use super::redirect::Memory;
use super::reply::Reply;
use super::request::Request;

/// Whether a text may be a token, which is shown nowhere: a word of some length.
pub fn may_be_a_token(text: &str) -> bool {
    const SHORTEST: usize = 8;
    let place = text.starts_with('/') || text.contains("://");
    text.len() >= SHORTEST && !place && !text.contains(char::is_whitespace)
}

pub struct Cookies {
    kept: RefCell<CookieStore>,
    redactor: Redactor,
}

impl Cookies {
    pub fn new(redactor: &Redactor) -> Self {
        Cookies {
            kept: RefCell::default(),
            redactor: redactor.clone(),
        }
    }
}

impl Memory for Cookies {
    fn before(&self, request: &mut Request) {
        let store = self.kept.borrow();
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
            let cookie = RawCookie::parse(text.to_owned()).ok()?;
            // A session's is as good as a password, also where a page repeats it.
            let token = Some(cookie.value()).filter(|text| may_be_a_token(text));
            self.redactor.add(token);
            Some(cookie)
        });
        self.kept.borrow_mut().store_response_cookies(read, url);
    }
}
