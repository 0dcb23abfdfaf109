//! Names in expectations, held against a plan before it is run.

use std::collections::BTreeSet;

use super::expectation::{is_cluster, is_service, is_workload, subset};
use crate::config::scenario::{Assertion, Expectation, Figure, FigureKind};
use crate::diagnostic::{Class, Diagnostic, Place, nearest};
use crate::observe::Stat;
use crate::simulation::Plan;
use crate::units::Origins;

/// What expectations name that does not exist. `findings`: the codes of all findings that a run
/// of this version can have.
pub fn unknown_names(
    expectations: &[Expectation],
    plan: &Plan,
    findings: &[&str],
    origins: &Origins,
) -> Vec<Diagnostic> {
    let names = Names::of(plan);
    let mut all = Vec::new();
    for expectation in expectations {
        let faults = match &expectation.assertion {
            Assertion::Compare { figure, .. } => names.faults(figure),
            Assertion::NoFinding(code) | Assertion::Finding(code) => {
                unknown_code(code, findings).into_iter().collect()
            }
        };
        for (what, help) in faults {
            let object = origins.object(expectation.origin.object);
            let place = Place::new(
                &object.file,
                expectation.origin.line,
                expectation.origin.column,
            );
            let what = format!("`{}`: {what}", expectation.text);
            let error = Diagnostic::error("TT-EXPECTATION", Class::Model, what);
            all.push(error.at(place).of(object.to_string()).help(help));
        }
    }
    all
}

type Fault = (String, String);

fn unknown_code(code: &str, findings: &[&str]) -> Option<Fault> {
    if findings.contains(&code) {
        return None;
    }
    let what = format!("no finding has the code `{code}`");
    let help = match nearest(code, findings.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", findings.join(", ")),
    };
    Some((what, help))
}

/// What a plan has names for.
struct Names<'a> {
    callers: BTreeSet<&'a str>,
    workloads: BTreeSet<&'a str>,
    services: BTreeSet<&'a str>,
    clusters: BTreeSet<&'a str>,
    /// (workload, cluster) whose statistics are kept.
    slots: BTreeSet<(&'a str, &'a str)>,
    /// Workloads that have a limit of requests at once.
    limited: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(plan: &'a Plan) -> Self {
        let none = |name: &&str| !name.is_empty() && *name != "-";
        let limited = plan
            .apps
            .iter()
            .filter(|app| app.limits.concurrency != u32::MAX);
        Self {
            callers: plan
                .rows
                .iter()
                .map(|row| row.from.as_str())
                .filter(none)
                .collect(),
            workloads: plan.apps.iter().map(|app| app.name.as_str()).collect(),
            services: plan
                .rows
                .iter()
                .map(|row| row.service.as_str())
                .filter(none)
                .collect(),
            clusters: plan
                .rows
                .iter()
                .map(|row| row.cluster.as_str())
                .filter(none)
                .collect(),
            slots: plan
                .slots
                .iter()
                .map(|slot| (slot.workload.as_str(), slot.cluster.as_str()))
                .collect(),
            limited: limited.map(|app| app.name.as_str()).collect(),
        }
    }

    fn faults(&self, figure: &Figure) -> Vec<Fault> {
        let mut faults = Vec::new();
        let to = figure.to.as_deref();
        match &figure.kind {
            FigureKind::Stat(stat) => {
                faults.extend(self.slot(figure.from.as_deref(), to));
                faults.extend(unknown_stat(stat));
                return faults;
            }
            FigureKind::Utilisation
            | FigureKind::QueueTime(_)
            | FigureKind::QueueMean
            | FigureKind::QueueMax => {
                let Some(name) = to else { return faults };
                faults.extend(self.workload(name));
                let limited = self
                    .limited
                    .iter()
                    .any(|workload| is_workload(name, workload));
                if faults.is_empty() && figure.kind == FigureKind::Utilisation && !limited {
                    let what = format!(
                        "`{name}` serves any number of requests at once, so it has no utilisation"
                    );
                    faults.push((what, "give it a `concurrency` in the Model".to_owned()));
                }
                return faults;
            }
            FigureKind::Share(of) => faults.extend(self.part(of)),
            _ => {}
        }
        faults.extend(figure.from.as_deref().and_then(|name| self.caller(name)));
        faults.extend(to.and_then(|name| self.callee(name)));
        faults
    }

    fn workload(&self, name: &str) -> Option<Fault> {
        let found: Vec<&str> = self
            .workloads
            .iter()
            .copied()
            .filter(|w| is_workload(name, w))
            .collect();
        match found.as_slice() {
            [_] => None,
            [] => Some(unknown(
                &format!("no workload is called `{name}`"),
                name,
                &self.workloads,
            )),
            several => {
                let what = format!("`{name}` may be {}", several.join(" or "));
                Some((what, "write `namespace/name`".to_owned()))
            }
        }
    }

    fn caller(&self, name: &str) -> Option<Fault> {
        let known = self.callers.iter().any(|caller| is_workload(name, caller));
        let what = format!("nothing that calls is called `{name}`");
        (!known).then(|| unknown(&what, name, &self.callers))
    }

    fn callee(&self, name: &str) -> Option<Fault> {
        let workloads = self.workloads.iter().filter(|w| is_workload(name, w));
        let mut namespaces: BTreeSet<&str> =
            workloads.filter_map(|w| w.split('/').next()).collect();
        let services = self.services.iter().filter(|host| is_service(name, host));
        let hosts: Vec<&str> = services.copied().collect();
        namespaces.extend(hosts.iter().filter_map(|host| {
            let mut labels = host.split('.');
            labels
                .next()
                .and(labels.next())
                .filter(|_| labels.next() == Some("svc"))
        }));
        if namespaces.is_empty() && hosts.is_empty() {
            let all: BTreeSet<&str> = self.workloads.union(&self.services).copied().collect();
            let what = format!("no workload or Service is called `{name}`");
            return Some(unknown(&what, name, &all));
        }
        (namespaces.len() > 1).then(|| {
            let list: Vec<&str> = namespaces.into_iter().collect();
            let what = format!("`{name}` exists in the namespaces {}", list.join(", "));
            (what, "write `namespace/name`".to_owned())
        })
    }

    fn part(&self, of: &str) -> Option<Fault> {
        let subsets: BTreeSet<&str> = self
            .clusters
            .iter()
            .filter_map(|cluster| subset(cluster))
            .collect();
        let known = subsets.contains(of)
            || self.clusters.contains(of)
            || self
                .workloads
                .iter()
                .any(|workload| is_workload(of, workload));
        let all: BTreeSet<&str> = subsets.union(&self.workloads).copied().collect();
        let what = format!("no subset, cluster or workload that is called has the name `{of}`");
        (!known).then(|| unknown(&what, of, &all))
    }

    fn slot(&self, from: Option<&str>, to: Option<&str>) -> Option<Fault> {
        let (from, to) = (from?, to?);
        let callers: BTreeSet<&str> = self.slots.iter().map(|(workload, _)| *workload).collect();
        if !callers.iter().any(|workload| is_workload(from, workload)) {
            let what = format!("no workload with a proxy that calls is called `{from}`");
            return Some(unknown(&what, from, &callers));
        }
        let of_it = self
            .slots
            .iter()
            .filter(|(workload, _)| is_workload(from, workload));
        let clusters: BTreeSet<&str> = of_it.map(|(_, cluster)| *cluster).collect();
        let known = clusters.iter().any(|cluster| is_cluster(to, cluster));
        let what = format!("`{from}` does not call a cluster `{to}`");
        (!known).then(|| unknown(&what, to, &clusters))
    }
}

fn unknown_stat(stat: &str) -> Option<Fault> {
    let by_status = stat.strip_prefix("upstream_rq_").is_some_and(|rest| {
        rest.len() == 3 && rest.starts_with(|c: char| ('1'..='5').contains(&c))
    });
    let mut names = Stat::ALL.iter().map(|stat| stat.name());
    if by_status || names.any(|name| name == stat) {
        return None;
    }
    let all: BTreeSet<&str> = Stat::ALL.iter().map(|stat| stat.name()).collect();
    let what = format!("`{stat}` is not a statistic of a cluster that is simulated");
    let help = match nearest(stat, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`towtank run -o json` shows them under `clusters`".to_owned(),
    };
    Some((what, help))
}

fn unknown(what: &str, name: &str, known: &BTreeSet<&str>) -> Fault {
    let shorts = known.iter().map(|full| short(full));
    let near = nearest(name, known.iter().copied().chain(shorts));
    let help = if let Some(near) = near {
        format!("did you mean `{near}`?")
    } else {
        let list: Vec<&str> = known.iter().copied().take(12).collect();
        let more = if known.len() > 12 { ", …" } else { "" };
        format!("known here: {}{more}", list.join(", "))
    };
    (what.to_owned(), help)
}

/// The name without its namespace or domain.
fn short(full: &str) -> &str {
    let name = full.rsplit('/').next().unwrap_or(full);
    let name = name.rsplit('|').next().unwrap_or(name);
    name.split(['.', ':']).next().unwrap_or(name)
}
