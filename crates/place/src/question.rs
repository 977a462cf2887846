//! Where the running release can be asked for, and what is answered there.

use std::time::Duration;

use config::file::{Group, HttpProbe, Member, ProbeConfig as _, ReleaseSource};
use futures_util::future::join_all;
use model::release::Releases;
use net::Route;

use crate::context::Context;
use crate::error::Error;
use crate::place::Place;

/// How long one question to the running service may take.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the running release can be asked for, through the front door.
#[derive(Clone, Debug)]
pub struct ReleaseEndpoint {
    pub url: String,
    /// Sent with each request.
    pub headers: Vec<(String, String)>,
    pub source: Option<ReleaseSource>,
    /// What the answer is called by.
    pub names: Releases,
}

impl ReleaseEndpoint {
    /// The first probe of the gate that names where its release is read.
    fn probe<'c>(context: &Context<'c>) -> Option<&'c HttpProbe> {
        let probes = &context.config.healthgate_of_any().ok().flatten()?.http;
        let told = probes.iter().find(|probe| probe.release.is_some());
        told.or(probes.first())
    }

    fn of_probe(probe: &HttpProbe, names: Releases) -> ReleaseEndpoint {
        let source = probe.release.clone();
        let url = source
            .as_ref()
            .and_then(|source| source.url.clone())
            .unwrap_or(probe.url.clone());
        ReleaseEndpoint {
            url,
            headers: Vec::new(),
            source,
            names,
        }
    }

    /// What the gate asks; of a probe of many endpoints there is not one such question.
    pub fn of_gate(context: &Context<'_>) -> Option<ReleaseEndpoint> {
        let probe = ReleaseEndpoint::probe(context)?;
        let group = probe.group().filter(Group::is_meant);
        group
            .is_none()
            .then(|| ReleaseEndpoint::of_probe(probe, context.releases()))
    }

    /// The same for each endpoint of the probe, with the endpoint's name if there are several; empty if
    /// the gate probes none.
    pub fn all_of_gate(
        context: &Context<'_>,
    ) -> Result<Vec<(Option<String>, ReleaseEndpoint)>, Error> {
        let Some(probe) = ReleaseEndpoint::probe(context) else {
            return Ok(Vec::new());
        };
        let names = context.releases();
        let Some(group) = probe.group().filter(Group::is_meant) else {
            return Ok(vec![(None, ReleaseEndpoint::of_probe(probe, names))]);
        };
        let fill = |member: Member| {
            let mut probe = probe.clone();
            probe.fill(&member)?;
            let question = ReleaseEndpoint::of_probe(&probe, names.clone());
            Ok((Some(member.target), question))
        };
        let members = probe::members::expand(group, &context.places.hosts());
        members?.list.into_iter().map(fill).collect()
    }

    /// The release that the service itself reports, if the gate asks for it: another release than the
    /// `likely` one if any endpoint names one. `None` if the gate asks for none, and if the place of
    /// the release is not configured and no release was recognised ([`Error::Guessed`]).
    pub async fn query_gate(context: &Context<'_>, likely: &str) -> Option<Result<String, Error>> {
        let questions = match ReleaseEndpoint::all_of_gate(context) {
            Ok(questions) if questions.is_empty() => return None,
            Ok(questions) => questions,
            Err(error) => return Some(Err(error)),
        };
        let guessed = questions.iter().all(|(_, asks)| asks.source.is_none());
        let asking = questions.iter().map(|(name, question)| async move {
            let answer = question.query(None, likely, QUERY_TIMEOUT).await;
            answer.map_err(|error| match name {
                Some(name) => error.at(name),
                None => error,
            })
        });
        let (mut same, mut silent) = (None, None);
        for answer in join_all(asking).await {
            match answer {
                Ok(release) if release != likely => return Some(Ok(release)),
                Ok(release) => same = Some(release),
                Err(error) => silent = silent.or(Some(error)),
            }
        }
        Some(match (silent, same) {
            (Some(error), _) if guessed => Err(Error::Guessed(Box::new(error))),
            (Some(error), _) => Err(error),
            (None, Some(release)) => Ok(release),
            (None, None) => return None,
        })
    }

    /// What the section itself names, else what the gate asks.
    pub fn of(
        own: Option<&ReleaseSource>,
        context: &Context<'_>,
        (section, kind): (&str, &str),
    ) -> Result<Self, Error> {
        let own = own.and_then(|source| Some((source.url.clone()?, source)));
        if let Some((url, source)) = own {
            let source = Some(source.clone());
            return Ok(ReleaseEndpoint {
                url,
                headers: Vec::new(),
                source,
                names: context.releases(),
            });
        }
        ReleaseEndpoint::of_gate(context).ok_or_else(|| {
            Error::Unconfigured(format!("where the release can be read through {kind} is not configured: set `{section}.{kind}.release.url`"))
        })
    }

    /// The same out of a place's own network.
    pub async fn query_from(
        &self,
        place: &Place,
        around: &probe::ProbeContext,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, Error> {
        let route = match place {
            Place::Here => Route::default(),
            Place::Host(host) => Route::out_of(host, &around.hosts),
        };
        self.query_by(route, at, likely, timeout).await
    }

    pub async fn query(
        &self,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, Error> {
        self.query_by(Route::default(), at, likely, timeout).await
    }

    /// The release that answers, by the name that we have for it.
    async fn query_by(
        &self,
        route: Route,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, Error> {
        let (source, wanted) = (self.source.as_ref(), (self.names.rule(), likely));
        let query = probe::http::ReleaseQuery {
            url: &self.url,
            headers: &self.headers,
            at,
            source,
            likely: wanted,
        };
        let told = probe::http::query_release(route, query, timeout).await?;
        Ok(self.names.named(&told, likely).to_owned())
    }
}
