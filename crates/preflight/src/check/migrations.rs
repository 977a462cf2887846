//! The pending migrations, and whether the database is ready for them.

use std::rc::Rc;
use std::time::Duration;

use config::file::MigrationsCheck;
use migrator::readiness::{Bounds, Readiness, ReadinessCheck};

use super::{Check, Context, Planned};

impl Check for MigrationsCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        let MigrationsCheck {
            max_transaction,
            max_lag,
            severity,
            weight,
        } = self;
        let bounds = Bounds {
            max_transaction: max_transaction.get(),
            max_lag: max_lag.get(),
        };
        let readiness = Rc::new(Readiness::new(scene.job, bounds));
        let planned = ReadinessCheck::ALL.into_iter().map(|question| {
            let readiness = Rc::clone(&readiness);
            let id = format!("migrations/{}", question.as_str());
            Planned {
                id: id.clone(),
                subject: "migrate".to_owned(),
                severity: *severity,
                weight: weight.split(ReadinessCheck::ALL.len()),
                asks: format!("query the database of `migrate:` for {}", question.as_str()),
                needs: None,
                timeout: scene.timeout,
                wait: Duration::ZERO,
                ask: Box::pin(async move { readiness.evaluate(question, id).await }),
            }
        });
        planned.collect()
    }
}
