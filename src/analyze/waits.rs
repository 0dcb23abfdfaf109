//! `TT-TIMEOUTS-INVERTED`: a caller gives up before the one it calls does.
//!
//! What was written is compared with what was written: a call without any timeout is not named
//! here, because nearly every mesh has one. The run-time finding of the same code says where that
//! cost something.

use std::collections::BTreeSet;

use super::Context;
use super::calls::{Asked, Calls};
use crate::diagnostic::{Diagnostic, Place};
use crate::units::{Origin, SimDuration};
use crate::xds::Name;
use crate::xds::layers::outlives;

pub(super) fn check(context: &Context<'_>, calls: &Calls<'_>, found: &mut Vec<Diagnostic>) {
    let mut walk = Walk {
        context,
        calls,
        seen: BTreeSet::new(),
        told: BTreeSet::new(),
        found,
    };
    for root in &calls.roots {
        walk.follow(root, None);
    }
}

/// Who waits how long for whom, and where that was written.
#[derive(Clone)]
struct Wait {
    from: Name,
    to: Name,
    length: SimDuration,
    origin: Origin,
}

struct Walk<'w, 'a> {
    context: &'w Context<'a>,
    calls: &'w Calls<'a>,
    /// Requests that were followed below a wait.
    seen: BTreeSet<(usize, Origin)>,
    /// Pairs that were named.
    told: BTreeSet<(Origin, Origin)>,
    found: &'w mut Vec<Diagnostic>,
}

impl Walk<'_, '_> {
    /// `outer`: the nearest wait that somebody wrote before this request.
    fn follow(&mut self, asked: &Asked<'_>, outer: Option<&Wait>) {
        let own = self.wait(asked);
        if let (Some(inner), Some(outer)) = (&own, outer) {
            self.compare(inner, outer);
        }
        let nearest = own.as_ref().or(outer);
        let origin = nearest.map_or(Origin::BUILT_IN, |wait| wait.origin);
        if !self.seen.insert((asked.request, origin)) {
            return;
        }
        let calls = self.calls;
        let servers = calls.requests[asked.request].ways.iter();
        for server in servers.flat_map(|way| &way.servers) {
            // Such an application gives up with its caller.
            if server.behaviour.propagates_deadlines {
                continue;
            }
            for call in server.calls.iter().filter(|call| call.is_awaited()) {
                self.follow(call, nearest);
            }
        }
    }

    /// The shorter of the route's timeout and the application's own.
    fn wait(&self, asked: &Asked<'_>) -> Option<Wait> {
        let request = &self.calls.requests[asked.request];
        let to = &request.ways.first()?.to;
        let wait = |length, origin| Wait {
            from: request.from.clone(),
            to: to.clone(),
            length,
            origin,
        };
        let routes = request.forward.and_then(|forward| {
            let length = forward.patience()?;
            Some(wait(length, forward.timeout_origin))
        });
        let own = asked.timeout.map(|length| wait(length, asked.origin));
        let written = [routes, own].into_iter().flatten();
        written.min_by_key(|wait| wait.length)
    }

    fn compare(&mut self, inner: &Wait, outer: &Wait) {
        // Equal ones differ by the time between the calls, which nobody writes down.
        let longer =
            outlives(Some(inner.length), Some(outer.length)) && inner.length != outer.length;
        if !longer || !self.told.insert((outer.origin, inner.origin)) {
            return;
        }
        let message = format!(
            "{} waits {} for {}, and {} waits {} for {}: what it does after {} is for nobody, and its places stay taken",
            outer.from, outer.length, outer.to, inner.from, inner.length, inner.to, outer.length
        );
        let help = format!(
            "wait longer than {} here, or less than {} there; or let the application heed deadlines (`deadline: propagate` in the Model)",
            inner.length, outer.length
        );
        let diagnostic = (self.context).say("TT-TIMEOUTS-INVERTED", outer.origin, message, &help);
        let object = self.context.config.origins.object(inner.origin.object);
        let at = Place::new(&object.file, inner.origin.line, inner.origin.column);
        let why = format!("{} waits {} for {}", inner.from, inner.length, inner.to);
        self.found.push(diagnostic.see(at, why));
    }
}
