//! How the upstream file divides the traffic: by weights, or by a key of the users.

use config::file::NginxTarget;
use config::value::{Share, Side, Split};

use super::clients::{self, Clients};
use super::upstream::{self, Upstream};
use super::weights::ShareError;

#[derive(Debug)]
pub enum Division<'t> {
    Weights(Upstream<'t>),
    Clients(Clients<'t>, [&'t str; 2]),
}

/// Why the file does not divide the traffic between two sides, or not as it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    #[error(transparent)]
    Weights(#[from] ShareError),
    #[error(transparent)]
    Clients(#[from] clients::Error),
}

impl Error {
    /// An upstream is there, which a deployment may yet point at a colour.
    pub fn may_come(&self) -> bool {
        matches!(self, Error::Upstream(upstream::Error::Elsewhere { .. }))
    }

    /// How the file or the configuration must be.
    pub fn hint(&self, target: &NginxTarget, section: &str) -> String {
        match self {
            Error::Upstream(error) => error.hint(target, section),
            Error::Weights(_) | Error::Clients(_) => hint(target, section),
        }
    }
}

/// How the file must look.
pub fn hint(target: &NginxTarget, section: &str) -> String {
    match &target.sticky {
        None => upstream::hint(target, section),
        Some(key) => format!(
            "let {} hold `split_clients {key} $up {{ * {}; }}` with the address of the side that is live, and let \
             the site have `proxy_pass http://$up;`",
            target.upstream_file.display(),
            target.blue
        ),
    }
}

impl<'t> Division<'t> {
    /// What the text says; `section` is the one that has the target.
    pub fn of(
        text: &'t str,
        target: &'t NginxTarget,
        section: &'static str,
    ) -> Result<Self, Error> {
        let colours = [target.blue.as_str(), target.green.as_str()];
        Ok(match &target.sticky {
            None => Division::Weights(Upstream::of(text, target, section)?),
            Some(key) => Division::Clients(Clients::read(text, colours, key)?, colours),
        })
    }

    /// What each side gets.
    pub fn split(&self) -> Result<Split, Error> {
        match self {
            Division::Weights(upstream) => Ok(upstream.split()?),
            Division::Clients(clients, _) => Ok(clients.split()),
        }
    }

    /// Which requests the shares are not of, in words.
    pub fn exception(&self) -> Option<String> {
        match self {
            Division::Weights(_) => None,
            Division::Clients(clients, _) => clients.exception(),
        }
    }

    /// The text in which the sides have these shares.
    pub fn with(&self, split: Split) -> Result<String, Error> {
        match self {
            Division::Weights(upstream) => Ok(upstream.with(split)?),
            Division::Clients(clients, _) => Ok(clients.with(split)?),
        }
    }

    /// The text with shares that are the same for every text: two with the same differ in shares alone.
    pub(super) fn without_shares(&self, blue: &str) -> Option<String> {
        let some = Split::giving(Side::Green, Share::of(2, 5));
        self.with(some).or_else(|_| self.all_to(blue)).ok()
    }

    /// The text in which one colour gets all that the two have.
    pub fn all_to(&self, colour: &str) -> Result<String, Error> {
        match self {
            Division::Weights(upstream) => Ok(upstream.all_to(colour)),
            Division::Clients(clients, [blue, _]) => {
                let side = if *blue == colour {
                    Side::Blue
                } else {
                    Side::Green
                };
                let all = Split::giving(side, Share::ALL);
                Ok(clients.with(all)?)
            }
        }
    }

    /// The addresses that get traffic.
    pub fn active(&self) -> Vec<&str> {
        match self {
            Division::Weights(upstream) => upstream.active(),
            Division::Clients(clients, colours) => {
                let split = clients.split();
                let sides = colours.iter().zip(Side::BOTH);
                let active = sides.filter(|(_, side)| !split.of(*side).is_none());
                active.map(|(colour, _)| *colour).collect()
            }
        }
    }

    /// Whether a colour can get a request, if only where the other one fails.
    pub fn may_ask(&self, colour: &str) -> bool {
        match self {
            Division::Weights(upstream) => upstream.may_ask(colour),
            Division::Clients(..) => self.active().contains(&colour),
        }
    }

    /// Of how many requests one goes to the server that gets the fewest.
    pub fn rarest(&self) -> u32 {
        match self {
            Division::Weights(upstream) => upstream.rarest(),
            Division::Clients(clients, _) => {
                let split = clients.split();
                let shares = Side::BOTH.map(|side| u32::from(split.of(side).steps()));
                let smallest = shares.into_iter().filter(|steps| *steps > 0).min();
                smallest.map_or(1, |steps| u32::from(Share::WHOLE).div_ceil(steps))
            }
        }
    }

    /// The names of the upstreams that are written.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Division::Weights(upstream) => upstream.names(),
            Division::Clients(..) => Vec::new(),
        }
    }
}
