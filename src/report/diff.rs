//! Two meshes compared: the JSON contract (`towtank.diff/v1`), which text and Markdown are made of.
//!
//! These types *are* the documentation: their field docs become the JSON Schema that
//! `towtank schema diff` prints.

pub mod markdown;
pub mod text;
mod words;

use schemars::JsonSchema;
use serde::Serialize;

use super::expectation::{Expectation, word};
use super::json::{Bounds, Finding, pretty};
use crate::experiment::diff::{
    Comparison, Entry, Metric, Row as Compared, Seen, Shift, Sign, Subject, TablePlan,
};
use crate::observe::record::Quantity;

/// Result of `diff`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// Name and version of this format, `towtank.diff/v1`.
    pub schema: String,
    /// Version of towtank that made it.
    pub version: String,
    /// What was compared with: a path or a revision.
    pub before: String,
    /// What was compared.
    pub after: String,
    /// True when the tables, the behaviour or what is judged of it differs.
    pub differs: bool,
    /// The answer in sentences.
    pub summary: Vec<String>,
    /// What proxies are told.
    pub tables: Tables,
    /// What loads and callers saw; null where nothing was run.
    pub behaviour: Option<Behaviour>,
}

/// What proxies are told.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tables {
    /// Workloads with a proxy, afterwards.
    pub proxies: usize,
    /// Of them, those that are told something else.
    pub proxies_reached: usize,
    /// Entries that came, went or changed; by table, then by name.
    pub entries: Vec<TableEntry>,
}

/// An entry of a table that is not what it was.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableEntry {
    /// `workloads`, `listeners`, `routes`, `clusters`, `endpoints` or `inbound`.
    pub table: String,
    /// `added`, `changed` or `removed`.
    pub change: String,
    /// What it is called.
    pub name: String,
    /// What it is, of entries that came or went; else empty.
    pub summary: String,
    /// `file:line` behind an entry that came or went; null where nobody wrote it.
    pub place: Option<String>,
    /// What differs, of entries that changed.
    pub fields: Vec<TableField>,
    /// Workloads whose proxies see it.
    pub proxies: Vec<String>,
}

/// A field that differs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableField {
    /// Where it stands in the entry; elements of lists by name.
    pub path: String,
    /// What it was; null: not there.
    pub before: Option<String>,
    /// What it is; null: not there.
    pub after: Option<String>,
    /// `file:line` of the new value, else of the old one; null where nobody wrote it.
    pub place: Option<String>,
}

/// What both sides did under the same scenario and the same luck.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behaviour {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all randomness, on both sides.
    pub seed: u64,
    /// Pairs of runs.
    pub replications: u32,
    /// Virtual time during which load was offered in each, in seconds.
    pub duration_seconds: f64,
    /// True when not a single event differs.
    pub identical: bool,
    /// Loads in the scenario's order, then who called whom.
    pub rows: Vec<Row>,
    /// Findings that only AFTER has.
    pub new_findings: Vec<Finding>,
    /// Findings that only BEFORE has.
    pub gone_findings: Vec<Finding>,
    /// Findings of both, as AFTER has them.
    pub kept_findings: Vec<Finding>,
    /// What the scenario expects, on both sides.
    pub expectations: Vec<Expected>,
}

/// What one load or one kind of call saw.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Name of the load; null for calls.
    pub load: Option<String>,
    /// Who calls; null for loads.
    pub from: Option<String>,
    /// Workload that was called, or the host where no pod answered; null for loads.
    pub to: Option<String>,
    /// Pairs in which both sides saw something.
    pub pairs: usize,
    /// Figures.
    pub figures: Vec<Figure>,
    /// True when one of them differs, or only one side has them.
    pub differs: bool,
}

/// One figure, before and after.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// `requests_per_second`, `error_rate`, `p50`, `p99` or `amplification`, as in expectations.
    pub name: String,
    /// `perSecond`, `share` (1 is all), `ms` or `number`.
    pub unit: String,
    /// Mean over replications; null where nothing was counted.
    pub before: Option<f64>,
    /// The same after.
    pub after: Option<f64>,
    /// Mean of the differences within pairs with its 95 % confidence interval (Student's t); null with fewer than two pairs.
    pub difference: Option<Bounds>,
    /// `difference`: it stands against all figures of the report together (Holm, 5 %); `noise`: luck would do the same; `equal`: not the smallest difference in any pair; `unknown`: fewer than two pairs.
    pub seen: String,
    /// A difference of this size would have been seen in four of five such reports; null where that cannot be said.
    pub visible: Option<f64>,
    /// True of `noise` when the interval reaches so far that a difference that matters (2 points of a share, a quarter of anything else) is not ruled out: more pairs would tell.
    pub open: bool,
    /// How many times the variance of the difference would be with independent runs; null where it has none.
    pub variance_reduction: Option<f64>,
    #[serde(skip)]
    #[schemars(skip)]
    quantity: Quantity,
}

/// Something that the scenario expects, on both sides.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// As it was written.
    pub text: String,
    /// True when the verdict is another.
    pub differs: bool,
    /// Before.
    pub before: Expectation,
    /// After.
    pub after: Expectation,
    #[serde(skip)]
    #[schemars(skip)]
    measured: [String; 2],
}

impl Row {
    /// True when more pairs would have to tell whether something differs.
    fn is_open(&self) -> bool {
        self.figures.iter().any(|figure| figure.open)
    }
}

impl DiffReport {
    /// Puts everything together. `comparison`: where both sides were run.
    pub fn new(
        before: &str,
        after: &str,
        plan: &TablePlan,
        comparison: Option<&Comparison>,
    ) -> Self {
        let mut report = Self {
            schema: "towtank.diff/v1".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            differs: !plan.entries.is_empty() || comparison.is_some_and(Comparison::differs),
            summary: Vec::new(),
            tables: Tables {
                proxies: plan.proxies,
                proxies_reached: plan.reached(),
                entries: plan.entries.iter().map(TableEntry::from).collect(),
            },
            behaviour: comparison.map(Behaviour::from),
        };
        report.summary = words::summary(&report);
        report
    }
}

impl From<&Entry> for TableEntry {
    fn from(entry: &Entry) -> Self {
        let change = &entry.change;
        let fields = change.fields.iter().map(|field| TableField {
            path: field.path.clone(),
            before: field.before.clone(),
            after: field.after.clone(),
            place: field.place.clone(),
        });
        Self {
            table: change.kind.name().to_owned(),
            change: match change.sign {
                Sign::Added => "added",
                Sign::Changed => "changed",
                Sign::Removed => "removed",
            }
            .to_owned(),
            name: change.name.clone(),
            summary: change.summary.clone(),
            place: change.place.clone(),
            fields: fields.collect(),
            proxies: entry.proxies.clone(),
        }
    }
}

impl From<&Comparison> for Behaviour {
    fn from(comparison: &Comparison) -> Self {
        let after = &comparison.after;
        let judged = &comparison.judgement;
        Self {
            scenario: after.scenario.clone(),
            seed: after.seed,
            replications: after.replications,
            duration_seconds: after.duration.as_secs_f64(),
            identical: comparison.is_identical(),
            rows: comparison.rows.iter().map(Row::from).collect(),
            new_findings: judged.new.iter().map(Finding::from).collect(),
            gone_findings: judged.gone.iter().map(Finding::from).collect(),
            kept_findings: judged.kept.iter().map(Finding::from).collect(),
            expectations: judged.expectations.iter().map(Expected::from).collect(),
        }
    }
}

impl From<&Compared> for Row {
    fn from(row: &Compared) -> Self {
        let (load, from, to) = match &row.subject {
            Subject::Load(_, name) => (Some(name.clone()), None, None),
            Subject::Edge(from, to) => (None, Some(from.clone()), Some(to.clone())),
        };
        Self {
            load,
            from,
            to,
            pairs: row.pairs,
            figures: row.metrics.iter().map(Figure::from).collect(),
            differs: row.differs(),
        }
    }
}

impl From<&Metric> for Figure {
    fn from(metric: &Metric) -> Self {
        let quantity = metric.figure.unit();
        Self {
            name: metric.figure.name().to_owned(),
            unit: match quantity {
                Quantity::Milliseconds => "ms",
                Quantity::Share => "share",
                Quantity::PerSecond => "perSecond",
                Quantity::Number => "number",
            }
            .to_owned(),
            before: metric.before,
            after: metric.after,
            difference: metric.difference.map(|interval| Bounds {
                mean: interval.mean,
                low: interval.mean - interval.half,
                high: interval.mean + interval.half,
            }),
            seen: match metric.seen {
                Seen::Difference => "difference",
                Seen::Noise => "noise",
                Seen::Equal => "equal",
                Seen::Unknown => "unknown",
            }
            .to_owned(),
            visible: metric.visible,
            open: metric.is_open(),
            variance_reduction: metric.pairing,
            quantity,
        }
    }
}

impl From<&Shift> for Expected {
    fn from(shift: &Shift) -> Self {
        let measured = |record| {
            let text = super::expectation::measured(record);
            if text.is_empty() {
                word(record.verdict).to_owned()
            } else {
                text
            }
        };
        Self {
            text: shift.after.text.clone(),
            differs: shift.differs(),
            measured: [measured(&shift.before), measured(&shift.after)],
            before: Expectation::from(&shift.before),
            after: Expectation::from(&shift.after),
        }
    }
}

/// The report as pretty-printed JSON with a final line feed.
pub fn render_json(report: &DiffReport) -> String {
    pretty(report)
}

/// The JSON Schema of [`DiffReport`], pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(DiffReport))
}
