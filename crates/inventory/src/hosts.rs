//! All machines that are known, and their groups.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use crate::host::Host;
use crate::select::selected;

/// The hosts of each group.
pub type Groups = BTreeMap<String, BTreeSet<String>>;

/// The machines that are reached by SSH, by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Hosts {
    by_name: BTreeMap<String, Host>,
    #[serde(skip)]
    pub groups: Groups,
}

impl JsonSchema for Hosts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hosts".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, Host>::json_schema(generator)
    }
}

impl Hosts {
    /// The hosts that a selector means: one, those of a group, those of a pattern, or `all`. Empty
    /// where nothing fits.
    pub fn selected(&self, selector: &str) -> Vec<&str> {
        let names = self.by_name.keys().map(String::as_str);
        selected(names, &self.groups, selector)
    }
}

impl Deref for Hosts {
    type Target = BTreeMap<String, Host>;

    fn deref(&self) -> &Self::Target {
        &self.by_name
    }
}

impl DerefMut for Hosts {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.by_name
    }
}

impl From<BTreeMap<String, Host>> for Hosts {
    fn from(by_name: BTreeMap<String, Host>) -> Hosts {
        Hosts {
            by_name,
            groups: Groups::new(),
        }
    }
}
