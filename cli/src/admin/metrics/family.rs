//! Families of metrics: a name, what it means, and a sample for each set of labels.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use smppmux_engine::core::figures::{Exchanges, Latency, OTHER_STATUS, RequestKind};
use std::fmt;

/// A sample's labels, as name and value.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Writes one family after the other.
pub(super) struct Families<'a>(DescriptorEncoder<'a>);

/// What a family of exchanges is about: the first part of its name, and its label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    /// Such as `server`; it is the name of the label too.
    pub(super) name: &'static str,
    /// For the help text, such as "a server".
    pub(super) words: &'static str,
}

impl<'a> Families<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Things that are counted from the start on.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.numbers(MetricType::Counter, (name, help, None), samples)
    }

    /// The same for octets.
    pub(super) fn octets(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.numbers(MetricType::Counter, (name, help, Some(&Unit::Bytes)), samples)
    }

    /// How much there is now.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.numbers(MetricType::Gauge, (name, help, None), samples)
    }

    /// Parts of a whole now, given in percent.
    pub(super) fn ratio(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, percent) in samples {
            family
                .encode_family(&labels)?
                .encode_gauge(&(percent as f64 / 100.0))?;
        }
        Ok(())
    }

    /// The same for octets.
    pub(super) fn octets_now(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        self.numbers(MetricType::Gauge, (name, help, Some(&Unit::Bytes)), samples)
    }

    fn numbers(
        &mut self,
        kind: MetricType,
        (name, help, unit): (&str, &str, Option<&Unit>),
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let is_counter = matches!(kind, MetricType::Counter);
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in samples {
            let mut sample = family.encode_family(&labels)?;
            if is_counter {
                sample.encode_counter::<NoLabelSet, u64, u64>(&value, None)?;
            } else {
                sample.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    /// A time that has passed.
    pub(super) fn seconds(&mut self, name: &str, help: &str, seconds: f64) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        family.encode_gauge(&seconds)
    }

    /// Times in buckets.
    pub(super) fn times(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, Latency)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, latency) in samples {
            let bound = |place: usize| {
                if place < Latency::BUCKETS {
                    Latency::bound(place).as_secs_f64()
                } else {
                    f64::INFINITY
                }
            };
            let counts = latency.buckets();
            let count = counts.iter().sum();
            let counts = counts.into_iter().enumerate();
            let buckets: Vec<(f64, u64)> = counts.map(|(place, count)| (bound(place), count)).collect();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                latency.sum().as_secs_f64(),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }

    /// Requests and answers by command, direction and status.
    pub(super) fn exchanges(&mut self, subject: Subject, rows: &[(String, Exchanges)]) -> fmt::Result {
        let Subject { name, words } = subject;
        let labels = |row: &str, kind: RequestKind| {
            let direction = if kind.is_mobile_originated() { "mo" } else { "mt" };
            vec![
                (name, row.to_owned()),
                ("command", kind.command().to_owned()),
                ("direction", direction.to_owned()),
            ]
        };
        let requests = rows.iter().flat_map(|(row, exchanges)| {
            let kinds = RequestKind::ALL
                .into_iter()
                .map(|kind| (kind, exchanges.requests_of(kind)));
            kinds
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| (labels(row, kind), count))
        });
        self.counter(
            &format!("{name}_requests"),
            &format!("Requests of {words} (mt), or messages to it or from it (mo)"),
            requests,
        )?;
        let answers = rows.iter().flat_map(|(row, exchanges)| {
            let accepted = RequestKind::ALL
                .into_iter()
                .map(|kind| (kind, "ESME_ROK".to_owned(), exchanges.accepted_of(kind)));
            let accepted = accepted.filter(|(_, _, count)| *count > 0);
            let failed = exchanges.errors().iter().map(|(kind, status, count)| {
                let status = if *status == OTHER_STATUS {
                    "other".to_owned()
                } else {
                    status.to_string()
                };
                (*kind, status, *count)
            });
            accepted.chain(failed).map(|(kind, status, count)| {
                let mut labels = labels(row, kind);
                labels.push(("status", status));
                (labels, count)
            })
        });
        self.counter(
            &format!("{name}_answers"),
            &format!("Answers to those, by status, of {words}"),
            answers,
        )
    }
}

/// One label.
pub(super) fn label(name: &'static str, value: &(impl ToString + ?Sized)) -> Labels {
    vec![(name, value.to_string())]
}
