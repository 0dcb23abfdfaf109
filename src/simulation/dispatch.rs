//! One match: event → behaviour. The only place where events are told apart.

use super::event::{Event, Kind};
use super::world::World;
use crate::data_plane::Trail;
use crate::engine::{Model, Queue};
use crate::units::SimTime;

impl<T: Trail> Model for World<'_, T> {
    type Event = Event;

    fn is_stuck(&self) -> bool {
        self.overloaded
    }

    #[expect(
        clippy::inline_always,
        reason = "the loop calls it and nobody else does"
    )]
    #[inline(always)]
    fn handle(&mut self, now: SimTime, event: Event, queue: &mut Queue<Event>) {
        let index = event.index();
        if T::FOLLOWS {
            self.trail.at(now);
        }
        match event.kind() {
            Kind::AttemptReachedServer => self.on_reached_server(now, index, queue),
            Kind::WorkDone => self.on_work_done(now, index, queue),
            Kind::ResponseReachedClient => self.on_response(now, index, queue),
            Kind::Arrival => self.on_arrival(now, index, queue),
            Kind::UserReady => self.on_user_ready(now, index, queue),
            Kind::BackoffElapsed => self.on_backoff_elapsed(now, index, event.generation(), queue),
            Kind::FaultDelayElapsed => {
                self.on_fault_delay_elapsed(now, index, event.generation(), queue);
            }
            Kind::ConnectionReady => {
                self.on_connection_ready(now, index, event.generation(), queue);
            }
            Kind::ConnectionRefused => {
                self.on_connection_failed(now, index, event.generation(), false, queue);
            }
            Kind::ConnectionTimedOut => {
                self.on_connection_failed(now, index, event.generation(), true, queue);
            }
            Kind::AttemptTimedOut => self.on_attempt_timed_out(now, event, queue),
            Kind::RequestTimedOut => self.on_request_timed_out(now, event, queue),
            Kind::ApplicationTimedOut => self.on_application_timed_out(now, index, queue),
            Kind::OutlierSweep => self.on_outlier_sweep(now, index, queue),
            Kind::HealthMerged => self.on_health_merged(now, index),
            Kind::ReachedGateway => self.on_reached_gateway(now, index, event.generation(), queue),
            Kind::ReachedOutside => self.on_reached_outside(now, index, event.generation(), queue),
            Kind::StreamTimedOut => self.on_stream_timed_out(now, index, event.generation(), queue),
            Kind::InboundBackoffElapsed => self.on_inbound_backoff_elapsed(now, index, queue),
            Kind::ApplicationTriesAgain => self.on_application_tries_again(now, index, queue),
            Kind::HealthCheck => self.on_health_check(now, index, queue),
            Kind::DeadlineExceeded => {
                self.on_deadline_exceeded(now, index, event.generation(), queue);
            }
            Kind::PoolTimedOut => self.on_pool_timed_out(now, index, event.generation(), queue),
            Kind::AutoscalerTick => self.on_autoscaler_tick(now, index, queue),
            Kind::WarmUpOver => self.on_warm_up_over(now),
            Kind::TimelineAction => self.on_timeline_action(now, index, queue),
            Kind::PodChanged => self.on_pod_changed(now, index, queue),
            Kind::PushDue => self.on_push_due(now, queue),
            Kind::ProxyUpdated => self.on_proxy_updated(now, index, event.generation(), queue),
        }
    }
}
