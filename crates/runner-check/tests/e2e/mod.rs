//! Runners as they really are: services of a real systemd, reached by SSH, seen by a real
//! Prometheus. GitHub is wiremock here, because no real one can be made to say what is not so.

mod docker;
mod evidence;
mod jobs;
mod remedies;
mod runbook_004;
mod world;
