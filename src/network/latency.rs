//! One-way latencies between localities.

use crate::engine::{Distribution, Sampler};
use crate::units::SimDuration;
use crate::xds::{Locality, Name};

/// Pairs of places that may be disturbed in one run.
pub const AREAS_MAX: usize = 8;

/// Index of a latency distribution in [`Distances`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub u16);

/// All latency distributions of a mesh and the rule that chooses one.
#[derive(Clone, Debug)]
pub struct Distances {
    samplers: Vec<Sampler>,
    means: Vec<SimDuration>,
    pairs: Vec<(Locality, Locality)>,
    /// Pairs of places whose way may be disturbed during a run.
    areas: Vec<(Locality, Locality)>,
    /// Number of links without areas.
    plain: u16,
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
            areas: Vec::new(),
            plain: all.len() as u16,
        }
    }

    /// Gives the ways between these pairs of places links of their own, so that they can be
    /// disturbed without the others; an unset part matches everything. At most [`AREAS_MAX`].
    #[must_use]
    pub fn with_areas(mut self, areas: Vec<(Locality, Locality)>) -> Self {
        let kinds = 1_usize << areas.len().min(AREAS_MAX);
        let (samplers, means) = (self.samplers.clone(), self.means.clone());
        for _ in 1..kinds {
            self.samplers.extend_from_slice(&samplers);
            self.means.extend_from_slice(&means);
        }
        self.areas = areas;
        self
    }

    /// Number of links, those of areas included.
    pub fn len(&self) -> usize {
        self.samplers.len()
    }

    /// True when there is no link, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.samplers.is_empty()
    }

    /// True when a link lies in an area, by its number.
    pub fn lies_in(&self, link: Link, area: usize) -> bool {
        (link.0 / self.plain) >> area & 1 == 1
    }

    /// The distribution between two places: the first pair that covers both ends, in either direction, else the tier.
    /// Unknown localities count as the same zone.
    pub fn link(&self, a: &Locality, b: &Locality) -> Link {
        let plain = self.plain_link(a, b);
        if self.areas.is_empty() {
            return plain;
        }
        let mut kind = 0;
        for (index, (from, to)) in self.areas.iter().enumerate() {
            if joins(from, to, a, b) {
                kind |= 1 << index;
            }
        }
        Link(plain.0 + kind * self.plain)
    }

    fn plain_link(&self, a: &Locality, b: &Locality) -> Link {
        for (index, (from, to)) in self.pairs.iter().enumerate() {
            if joins(from, to, a, b) {
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

/// True when one of two places lies in `from` and the other in `to`.
fn joins(from: &Locality, to: &Locality, a: &Locality, b: &Locality) -> bool {
    (covers(from, a) && covers(to, b)) || (covers(from, b) && covers(to, a))
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
