//! What is drawn of a comparison.

use config::file::{CanaryKind, CanaryMetric};
use judge::sequential::Watch;
use model::report::{Curve, Stroke};

/// The numbers of each metric after each interval.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    metrics: Vec<Vec<Point>>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    ratio: Option<(f64, Option<f64>, f64)>,
    fail: f64,
    pass: f64,
}

impl Points {
    pub(crate) fn new(metrics: usize) -> Points {
        Points {
            metrics: vec![Vec::new(); metrics],
        }
    }

    pub(crate) fn add(&mut self, watch: &Watch) {
        for (nth, points) in self.metrics.iter_mut().enumerate() {
            let band = watch.band(nth);
            let evidence = watch.evidence(nth);
            points.push(Point {
                ratio: band.map(|band| (band.low, band.estimate, band.high)),
                fail: evidence.map_or(f64::NAN, |(fail, _)| fail.ln_e),
                pass: evidence.map_or(f64::NAN, |(_, pass)| pass.ln_e),
            });
        }
    }

    /// The pictures of a metric: the ratio with its band, and the evidence. `of` is what they are called
    /// after.
    pub(crate) fn curves(
        &self,
        nth: usize,
        metric: &CanaryMetric,
        of: &str,
        watch: &Watch,
    ) -> Vec<Curve> {
        let Some(points) = self.metrics.get(nth).filter(|points| points.len() > 1) else {
            return Vec::new();
        };
        let line = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<Option<f64>> {
            let values = points.iter().map(value);
            values
                .map(|value| value.filter(|value| value.is_finite()))
                .collect()
        };
        let mut curves = Vec::new();
        if metric.kind != CanaryKind::Gauge {
            let curve = Curve::new(format!("{of}: ratio to stable"), "intervals", "ratio")
                .line("lower end", Stroke::Edge, line(&|it| Some(it.ratio?.0)))
                .line("ratio", Stroke::Line, line(&|it| it.ratio?.1))
                .line(
                    "upper end",
                    Stroke::UpperEdge,
                    line(&|it| Some(it.ratio?.2)),
                )
                .limit("tolerance", metric.tolerance());
            curves.push(curve);
        }
        if let Some((fail, pass)) = watch.evidence(nth) {
            let curve = Curve::new(format!("{of}: evidence"), "intervals", "ln e")
                .line("of harm", Stroke::Bad, line(&|it| Some(it.fail)))
                .line("of no harm", Stroke::Good, line(&|it| Some(it.pass)))
                .limit("fails", fail.limit)
                .limit("passes", pass.limit);
            curves.push(curve);
        }
        curves
    }
}
