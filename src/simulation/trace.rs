//! The whole tree of one request of a run: calls, tries, and what each proxy decided about them.
//!
//! A run keeps no history. A request is found by what a run kept of all ([`find`]), and the same
//! run is made again to follow it ([`follow`]).

pub use super::follow::By;
use super::follow::{Followed, FollowedTry};
use super::outcome::{Outcome, request};
use super::plan::{NIL, Plan};
use super::resolve::Resolver;
use super::run::{self, Control};
use super::story::{RouteTeller, Story};
use crate::engine::Seed;
use crate::http::{Details, Flags};
use crate::observe::record::RequestRecord;
use crate::observe::recorder::RootEnd;
use crate::units::{SimDuration, SimTime};
use crate::xds::{Locality, ProxyKind, Snapshot};

/// One request's tree.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Name of its load.
    pub load: String,
    /// How it ended.
    pub request: RequestRecord,
    /// Calls in the order in which they began; the first is the load's.
    pub calls: Vec<Call>,
    /// Tries of all calls, in the order in which they began.
    pub tries: Vec<Try>,
}

/// A request at its client's proxy.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who made it.
    pub by: By,
    /// Workload that calls.
    pub workload: String,
    /// Pod that calls.
    pub pod: PodName,
    /// What was asked for: method and URL.
    pub method: String,
    /// `http://host:port/path`.
    pub url: String,
    /// `:authority`.
    pub authority: String,
    /// When it began.
    pub opened: SimTime,
    /// When its proxy was done with it; `None`: when the run was over it was not.
    pub closed: Option<SimTime>,
    /// When the client had the answer.
    pub done: Option<SimTime>,
    /// Indexes of its tries in the trace.
    pub tries: Vec<usize>,
    /// The decisions about it.
    pub story: Story,
}

impl Call {
    /// When nothing of it goes on any more.
    pub fn end(&self) -> Option<SimTime> {
        self.done.or(self.closed)
    }
}

/// A pod and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodName {
    /// Name; an address for what is no pod.
    pub name: String,
    /// Address.
    pub ip: String,
    /// Region, zone and sub-zone.
    pub locality: Locality,
    /// A proxy stands in front of its application.
    pub has_proxy: bool,
}

/// One try of a call at one pod. Each moment is `None` when it did not come.
#[derive(Clone, Debug)]
pub struct Try {
    /// Index of its call.
    pub call: usize,
    /// Workload it went to; empty when it was never sent.
    pub workload: String,
    /// Pod it went to.
    pub pod: PodName,
    /// A host was about to be picked.
    pub begun: SimTime,
    /// It had a connection and left.
    pub sent: Option<SimTime>,
    /// It was at the pod.
    pub reached: Option<SimTime>,
    /// The application began to work on it.
    pub serves: Option<SimTime>,
    /// The application's own work was done.
    pub worked: Option<SimTime>,
    /// The pod was gone.
    pub lost: Option<SimTime>,
    /// The pod answered, with this status; 0: it closed the connection.
    pub answers: Option<(SimTime, u16)>,
    /// The answer was back at the proxy.
    pub returned: Option<SimTime>,
    /// The proxy gave it up.
    pub abandoned: Option<SimTime>,
    /// It ended before it was sent.
    pub failed: Option<SimTime>,
}

impl Try {
    /// When its call was rid of it.
    pub fn end(&self) -> Option<SimTime> {
        self.abandoned.or(self.returned).or(self.failed)
    }
}

/// Runs one replication, keeping at most `most` single requests ([`Outcome::roots`], in the order
/// in which they ended), of which `choose` picks one by its index.
pub fn find(
    plan: &Plan,
    seed: Seed,
    control: &Control<'_>,
    most: usize,
    choose: impl FnOnce(&Outcome) -> Option<usize>,
) -> (Outcome, Option<RootEnd>) {
    let control = Control {
        keep_requests: most,
        ..*control
    };
    let outcome = run::run(plan, seed, &control);
    let chosen = choose(&outcome).and_then(|index| outcome.roots().get(index).copied());
    (outcome, chosen)
}

/// Makes the run again and follows a request that [`find`] gave; the outcome is the same.
pub fn follow(
    snapshot: &Snapshot,
    plan: &Plan,
    seed: Seed,
    control: &Control<'_>,
    end: &RootEnd,
) -> (Outcome, Trace) {
    let (outcome, follower) = run::follow(plan, seed, control, (end.client, end.number));
    let namer = Namer {
        plan,
        replication: seed.replication_number(),
        end,
    };
    let mut resolver = Resolver::new(snapshot);
    let calls = follower.calls.iter().map(|call| {
        let tries = &follower.tries;
        namer.call(snapshot, &mut resolver, call, tries)
    });
    let trace = Trace {
        load: plan.loads[end.client as usize].name.clone(),
        request: request(plan, namer.replication, end),
        calls: calls.collect(),
        tries: follower.tries.iter().map(|t| namer.try_of(t)).collect(),
    };
    (outcome, trace)
}

struct Namer<'p> {
    plan: &'p Plan,
    replication: u32,
    end: &'p RootEnd,
}

impl Namer<'_> {
    fn pod(&self, pod: u32) -> PodName {
        self.plan
            .pods
            .get(pod as usize)
            .map_or_else(PodName::default, |pod| PodName {
                name: pod.name.clone(),
                ip: pod.ip.to_string(),
                locality: pod.locality.clone(),
                has_proxy: pod.proxy != ProxyKind::None,
            })
    }

    fn workload(&self, pod: u32) -> String {
        let pod = self.plan.pods.get(pod as usize);
        pod.map_or_else(String::new, |pod| {
            self.plan.apps[pod.app as usize].name.clone()
        })
    }

    fn call<'s>(
        &self,
        snapshot: &'s Snapshot,
        resolver: &mut Resolver<'s>,
        call: &Followed,
        tries: &[FollowedTry],
    ) -> Call {
        let plan = self.plan;
        let root = self.root_end(call, tries);
        let pod = &plan.pods[call.pod as usize];
        let teller = RouteTeller {
            plan,
            app: pod.app,
            place: Some(pod.place),
            route: call.route,
            weighted: root.weighted,
        };
        let from = match call.by {
            By::Load => plan.loads[self.end.client as usize].from.clone(),
            By::Application { .. } | By::Mirror(_) => self.workload(call.pod),
        };
        let record = request(plan, self.replication, &root);
        let mut story = teller.tell(snapshot, resolver, record, from);
        for (at, reason) in &call.reasons {
            story.times.push(*at);
            story.reasons.push(reason.clone());
        }
        let class = story.class.as_ref();
        Call {
            by: call.by,
            workload: self.workload(call.pod),
            pod: self.pod(call.pod),
            method: class.map_or_else(|| "GET".to_owned(), |c| c.method.to_string()),
            url: class.map_or_else(|| story.request.path.clone(), |c| c.url.to_string()),
            authority: class.map_or_else(String::new, |c| c.authority.clone()),
            opened: call.opened,
            closed: call.closed.map(|c| c.at),
            done: call.done,
            tries: call.tries.clone(),
            story,
        }
    }

    /// A call as if it were a load's request.
    fn root_end(&self, call: &Followed, tries: &[FollowedTry]) -> RootEnd {
        let closed = call.closed;
        let until = call.done.or(closed.map(|c| c.at)).unwrap_or(call.opened);
        let details = closed.map_or(Details::ViaUpstream, |c| c.details);
        let last = call.tries.last().map_or(NIL, |last| tries[*last].pod);
        RootEnd {
            client: self.end.client,
            number: self.end.number,
            at: call.opened,
            duration: if closed.is_some() {
                until.since(call.opened)
            } else {
                SimDuration::ZERO
            },
            status: closed.map_or(0, |c| c.status),
            flags: closed.map_or(Flags::NONE, |c| c.flags),
            details,
            attempts: call.tries.len() as u32,
            route: call.route,
            weighted: closed.map_or(NIL, |c| c.weighted),
            pod: last,
            answered: closed.is_some_and(|c| {
                c.details == Details::ViaUpstream
                    || (c.details == Details::NoProxy && c.status != 0)
            }),
        }
    }

    fn try_of(&self, t: &FollowedTry) -> Try {
        Try {
            call: t.call,
            workload: self.workload(t.pod),
            pod: self.pod(t.pod),
            begun: t.begun,
            sent: t.sent,
            reached: t.reached,
            serves: t.serves,
            worked: t.worked,
            lost: t.lost,
            answers: t.answers,
            returned: t.returned,
            abandoned: t.abandoned,
            failed: t.failed,
        }
    }
}
