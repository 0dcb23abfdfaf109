//! One-way latencies between localities.

use crate::engine::{Distribution, Sampler};
use crate::units::SimDuration;
use crate::xds::{Locality, Name};

/// Index of a latency distribution in [`Distances`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub u16);

/// All latency distributions of a mesh and the rule that chooses one.
#[derive(Clone, Debug)]
pub struct Distances {
    samplers: Vec<Sampler>,
    means: Vec<SimDuration>,
    pairs: Vec<(Locality, Locality)>,
}

impl Distances {
    /// Made from the three tiers and overriding pairs.
    pub fn new(
        same_zone: &Distribution,
        same_region: &Distribution,
        between_regions: &Distribution,
        pairs: &[(Name, Name, Distribution)],
    ) -> Self {
        let all = [same_zone, same_region, between_regions]
            .into_iter()
            .chain(pairs.iter().map(|(_, _, d)| d));
        let all: Vec<&Distribution> = all.collect();
        Self {
            samplers: all.iter().map(|d| d.sampler()).collect(),
            means: all
                .iter()
                .map(|d| d.mean().unwrap_or(SimDuration::ZERO))
                .collect(),
            pairs: pairs
                .iter()
                .map(|(from, to, _)| (Locality::parse(from), Locality::parse(to)))
                .collect(),
        }
    }

    /// The distribution between two places: the first pair that covers both ends, in either direction, else the tier.
    /// Unknown localities count as the same zone.
    pub fn link(&self, a: &Locality, b: &Locality) -> Link {
        for (index, (from, to)) in self.pairs.iter().enumerate() {
            if (covers(from, a) && covers(to, b)) || (covers(from, b) && covers(to, a)) {
                return Link((index + 3) as u16);
            }
        }
        if a.is_empty() || b.is_empty() {
            Link(0)
        } else if a.region != b.region {
            Link(2)
        } else if a.zone != b.zone {
            Link(1)
        } else {
            Link(0)
        }
    }

    /// The sampler of a link.
    #[inline]
    pub fn sampler(&self, link: Link) -> &Sampler {
        &self.samplers[link.0 as usize]
    }

    /// Mean latency of a link, for words in reports.
    pub fn mean(&self, link: Link) -> SimDuration {
        self.means[link.0 as usize]
    }
}

/// True when `place` lies in `area`; unset parts of `area` match all.
fn covers(area: &Locality, place: &Locality) -> bool {
    let part = |a: &Name, p: &Name| a.is_empty() || **a == **p || &**a == "*";
    part(&area.region, &place.region)
        && part(&area.zone, &place.zone)
        && part(&area.subzone, &place.subzone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_chooses_the_tier_and_pairs_override_in_both_directions() {
        let d = |ms| Distribution::Constant(SimDuration::from_ms(ms));
        let distances = Distances::new(
            &d(1),
            &d(2),
            &d(3),
            &[("us-east".into(), "eu".into(), d(9))],
        );
        let mean = |a: &str, b: &str| {
            distances
                .mean(distances.link(&Locality::parse(a), &Locality::parse(b)))
                .ns()
                / 1_000_000
        };
        assert_eq!(mean("r/z1", "r/z1"), 1);
        assert_eq!(mean("r/z1", "r/z2"), 2);
        assert_eq!(mean("r/z1", "q/z1"), 3);
        assert_eq!(mean("eu/a", "us-east/b"), 9);
        assert_eq!(mean("", "r/z"), 1);
    }
}
