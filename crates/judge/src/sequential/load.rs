//! Whether each instance serves about as many requests as any other. Where it does not, errors that
//! depend on the load are no errors of the release.
//!
//! - The sides are compared where stable's instances are known: a list of two or more, or lists on both
//!   sides. With one instance on each side the router's split is the canary's share, and there is nothing
//!   to compare. A canary that is no list is one instance.
//! - The instances of a side are compared where it is a list.
//! - A canary with more than twice the load may fail for that alone, and instances of a side with more
//!   than twice the load of others are not one thing: then there is no verdict.
//! - A canary with less than half the load is judged under conditions that are too good: it can
//!   fail, and a pass would say nothing of its behaviour under the full load.

use crate::reading::SideData;

#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    canary: Served,
    stable: Served,
}

/// The requests that a side served.
#[derive(Clone, Debug, Default)]
struct Served {
    /// With the instances, summed over the intervals in which the sides can be compared.
    requests: f64,
    instances: f64,
    /// The requests of each instance, by its place in the list, while that has the same length.
    each: Vec<f64>,
    intervals_of_each: f64,
}

/// Requests per instance and interval, where they are unequal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unequal {
    /// The canary has more, or less.
    More {
        canary: f64,
        stable: f64,
    },
    Less {
        canary: f64,
        stable: f64,
    },
    /// The most and the fewest of a side's instances.
    WithinCanary(RequestSpread),
    WithinStable(RequestSpread),
}

/// The most and the fewest requests of an instance in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestSpread {
    pub most: f64,
    pub fewest: f64,
}

/// One may have so many times the requests of the other.
pub const MAX_RATIO: f64 = 2.0;
/// Standard deviations of chance.
const DEVIATIONS: f64 = 3.0;

impl Load {
    /// The requests of each instance in an interval.
    pub(crate) fn add(&mut self, canary: &SideData<f64>, stable: &SideData<f64>) {
        self.canary.add_each(canary);
        self.stable.add_each(stable);
        let is_list = |side: &SideData<f64>| side.instances().is_some_and(|count| count > 1);
        let serves = |side: &SideData<f64>| side.parts().iter().any(|requests| *requests > 0.0);
        if stable.instances().is_some()
            && (is_list(stable) || is_list(canary))
            && serves(canary)
            && serves(stable)
        {
            self.canary.add(canary.parts());
            self.stable.add(stable.parts());
        }
    }

    /// What is too different for chance.
    pub(crate) fn unequal(&self) -> Option<Unequal> {
        let within = self.stable.unequal().map(Unequal::WithinStable);
        let within = within.or_else(|| self.canary.unequal().map(Unequal::WithinCanary));
        within.or_else(|| self.between_sides())
    }

    fn between_sides(&self) -> Option<Unequal> {
        let sides = [&self.canary, &self.stable];
        if sides.iter().any(|side| side.instances == 0.0) {
            return None;
        }
        let [canary, stable] = sides.map(|side| side.requests / side.instances);
        let [of_canary, of_stable] =
            sides.map(|side| side.requests / (side.instances * side.instances));
        if is_above((canary, of_canary), (stable, of_stable)) {
            Some(Unequal::More { canary, stable })
        } else if is_above((stable, of_stable), (canary, of_canary)) {
            Some(Unequal::Less { canary, stable })
        } else {
            None
        }
    }
}

impl Served {
    fn add(&mut self, instances: &[f64]) {
        self.requests += instances.iter().sum::<f64>();
        self.instances += instances.len() as f64;
    }

    fn add_each(&mut self, side: &SideData<f64>) {
        let SideData::Instances(instances) = side else {
            return;
        };
        if self.each.len() != instances.len() {
            (self.each, self.intervals_of_each) = (vec![0.0; instances.len()], 0.0);
        }
        self.intervals_of_each += 1.0;
        for (each, requests) in self.each.iter_mut().zip(instances) {
            *each += requests;
        }
    }

    /// An instance that serves nothing at all is a spare one.
    fn unequal(&self) -> Option<RequestSpread> {
        let serving = self.each.iter().filter(|requests| **requests > 0.0);
        let (fewest, most) = serving.fold((f64::INFINITY, 0.0_f64), |(low, high), requests| {
            (low.min(*requests), high.max(*requests))
        });
        let intervals = self.intervals_of_each;
        let [fewest, most] =
            [fewest, most].map(|requests| (requests / intervals, requests / intervals.powi(2)));
        is_above(most, fewest).then_some(RequestSpread {
            most: most.0,
            fewest: fewest.0,
        })
    }
}

/// Whether a number is more than twice another one; each with its variance.
fn is_above((high, of_high): (f64, f64), (low, of_low): (f64, f64)) -> bool {
    high - MAX_RATIO * low > DEVIATIONS * (of_high + MAX_RATIO * MAX_RATIO * of_low).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unequal(canary: (f64, Option<usize>), stable: &[f64]) -> Option<Unequal> {
        let (requests, instances) = canary;
        let canary = match instances {
            None => SideData::Whole(requests),
            Some(count) => SideData::Instances(vec![requests / count as f64; count]),
        };
        of_sides(&canary, &SideData::Instances(stable.to_vec()))
    }

    fn of_sides(canary: &SideData<f64>, stable: &SideData<f64>) -> Option<Unequal> {
        let mut load = Load::default();
        for _ in 0..10 {
            load.add(canary, stable);
        }
        load.unequal()
    }

    #[test]
    fn a_router_with_one_to_nine_is_fair_to_one_and_nine_instances() {
        assert_eq!(unequal((100.0, None), &[100.0; 9]), None);
        assert_eq!(unequal((100.0, Some(1)), &[100.0; 9]), None);
        // One on each side: the share is what was asked for.
        assert_eq!(unequal((100.0, None), &[900.0]), None);
        assert_eq!(unequal((100.0, Some(1)), &[900.0]), None);
        assert_eq!(
            unequal((100.0, None), &[300.0; 3]),
            Some(Unequal::Less {
                canary: 100.0,
                stable: 300.0
            })
        );
        assert_eq!(
            unequal((500.0, None), &[100.0; 5]),
            Some(Unequal::More {
                canary: 500.0,
                stable: 100.0
            })
        );
        assert_eq!(unequal((500.0, Some(5)), &[100.0; 5]), None);
    }

    #[test]
    fn stables_own_instances_are_compared_and_a_spare_one_is_not() {
        assert_eq!(
            unequal((300.0, None), &[500.0, 100.0]),
            Some(Unequal::WithinStable(RequestSpread {
                most: 500.0,
                fewest: 100.0
            }))
        );
        assert_eq!(unequal((300.0, None), &[400.0, 250.0]), None);
        assert_eq!(unequal((300.0, None), &[600.0, 0.0]), None);
        // By chance one of many has few.
        assert_eq!(unequal((2.0, None), &[4.0, 1.0, 2.0, 2.0]), None);
    }
    #[test]
    fn the_canarys_own_instances_are_compared_whatever_is_known_of_stable() {
        let uneven = SideData::Instances(vec![500.0, 100.0]);
        for stable in [SideData::Whole(900.0), SideData::Instances(vec![300.0; 3])] {
            assert_eq!(
                of_sides(&uneven, &stable),
                Some(Unequal::WithinCanary(RequestSpread {
                    most: 500.0,
                    fewest: 100.0
                }))
            );
            let even = SideData::Instances(vec![330.0, 270.0]);
            assert_eq!(of_sides(&even, &stable), None);
        }
    }
}
