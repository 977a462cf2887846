//! A user who is new each time, where a router keeps its users on a side by what they send.

use crate::question::ReleaseEndpoint;

/// What tells one user from another in their requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visitor {
    pub cookies: Vec<String>,
    pub headers: Vec<String>,
    /// Names in the query of the URL.
    pub arguments: Vec<String>,
}

impl Visitor {
    /// The same question as another user.
    pub fn asks(&self, question: &ReleaseEndpoint) -> ReleaseEndpoint {
        let mut question = question.clone();
        let anyone = || format!("{:032x}", rand::random::<u128>());
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies.map(|name| format!("{name}={}", anyone())).collect();
        if !cookies.is_empty() {
            let cookie = ("cookie".to_owned(), cookies.join("; "));
            question.headers.push(cookie);
        }
        for name in &self.headers {
            question.headers.push((name.clone(), anyone()));
        }
        for name in &self.arguments {
            // What follows a `#` is not sent.
            let url = question.url.split('#').next().unwrap_or_default();
            let mark = if url.contains('?') { '&' } else { '?' };
            question.url = format!("{url}{mark}{name}={}", anyone());
        }
        question
    }
}
