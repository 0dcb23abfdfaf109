//! tandem3 in nexosim: `peer-nexosim plain|retry REQUESTS SEED THREADS`.
#![expect(clippy::disallowed_methods, reason = "a program of its own")]

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use nexosim::Message;
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::{EventSinkReader, Output, SinkState, event_slot};
use nexosim::simulation::{EventKey, Mailbox, SimInit, SimulationError};
use nexosim::time::MonotonicTime;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand_distr::Exp1;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

const RATE: f64 = 700.0;
const SERVERS: u32 = 10;
const SERVICE: f64 = 0.010;
const TIMEOUT: Duration = Duration::from_millis(100);
const TRIES: u32 = 3;

/// Exponential with this mean in seconds; the scheduler takes no delay of zero.
fn exponential(mean: f64, random: &mut Xoshiro256PlusPlus) -> Duration {
    let one: f64 = Exp1.sample(random);
    Duration::from_secs_f64(mean * one).max(Duration::from_nanos(1))
}

/// One try of a request.
#[derive(Clone, Serialize, Deserialize, Message)]
struct Try {
    request: u64,
    number: u32,
    /// When the client made the request.
    since: MonotonicTime,
}

/// What the client saw.
#[derive(Clone, Default, Serialize, Deserialize, Message)]
struct Seen {
    requests: u64,
    tries: u64,
    failed: u64,
    seconds: f64,
}

/// Servers with one queue.
#[derive(Serialize, Deserialize)]
struct Stage {
    done: Output<Try>,
    idle: u32,
    waiting: VecDeque<Try>,
    random: Xoshiro256PlusPlus,
}

#[Model]
impl Stage {
    fn new(seed: u64) -> Self {
        Self {
            done: Output::default(),
            idle: SERVERS,
            waiting: VecDeque::new(),
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    fn arrive(&mut self, work: Try, cx: &Context<Self>) {
        if self.idle > 0 {
            self.idle -= 1;
            self.serve(work, cx);
        } else {
            self.waiting.push_back(work);
        }
    }

    fn serve(&mut self, work: Try, cx: &Context<Self>) {
        let time = exponential(SERVICE, &mut self.random);
        cx.schedule_event(time, schedulable!(Self::finish), work)
            .unwrap();
    }

    #[nexosim(schedulable)]
    async fn finish(&mut self, work: Try, cx: &Context<Self>) {
        match self.waiting.pop_front() {
            Some(next) => self.serve(next, cx),
            None => self.idle += 1,
        }
        self.done.send(work).await;
    }
}

/// Makes the requests and, in mode `retry`, loses patience.
#[derive(Serialize, Deserialize)]
struct Client {
    tries: Output<Try>,
    seen: Output<Seen>,
    retries: bool,
    left: u64,
    counts: Seen,
    /// The try each request waits for, and its timeout.
    pending: HashMap<u64, (u32, EventKey)>,
    random: Xoshiro256PlusPlus,
}

#[Model]
impl Client {
    fn new(retries: bool, requests: u64, seed: u64) -> Self {
        Self {
            tries: Output::default(),
            seen: Output::default(),
            retries,
            left: requests,
            counts: Seen::default(),
            pending: HashMap::new(),
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    #[nexosim(init)]
    async fn init(&mut self, cx: &Context<Self>) {
        self.schedule_next(cx);
    }

    fn schedule_next(&mut self, cx: &Context<Self>) {
        let gap = exponential(1.0 / RATE, &mut self.random);
        cx.schedule_event(gap, schedulable!(Self::request), ())
            .unwrap();
    }

    #[nexosim(schedulable)]
    async fn request(&mut self, (): (), cx: &Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            self.schedule_next(cx);
        }
        let first = Try {
            request: self.left,
            number: 1,
            since: cx.time(),
        };
        self.send(first, cx).await;
    }

    async fn send(&mut self, work: Try, cx: &Context<Self>) {
        self.counts.tries += 1;
        if self.retries {
            let timer = cx
                .schedule_keyed_event(TIMEOUT, schedulable!(Self::time_out), work.clone())
                .unwrap();
            self.pending.insert(work.request, (work.number, timer));
        }
        self.tries.send(work).await;
    }

    #[nexosim(schedulable)]
    async fn time_out(&mut self, work: Try, cx: &Context<Self>) {
        if work.number < TRIES {
            let number = work.number + 1;
            self.send(Try { number, ..work }, cx).await;
        } else {
            self.pending.remove(&work.request);
            self.counts.failed += 1;
            self.count(&work, cx).await;
        }
    }

    async fn answer(&mut self, work: Try, cx: &Context<Self>) {
        if self.retries {
            match self.pending.get(&work.request) {
                Some((number, _)) if *number == work.number => {
                    let (_, timer) = self.pending.remove(&work.request).unwrap();
                    timer.cancel();
                }
                // Too late.
                _ => return,
            }
        }
        self.count(&work, cx).await;
    }

    async fn count(&mut self, work: &Try, cx: &Context<Self>) {
        self.counts.requests += 1;
        self.counts.seconds += cx.time().duration_since(work.since).as_secs_f64();
        // The last request sent is numbered 0; others may still be out.
        if self.left == 0 {
            self.seen.send(self.counts.clone()).await;
        }
    }
}

fn main() -> Result<(), SimulationError> {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, requests, seed, threads] = &args[..] else {
        panic!("peer-nexosim plain|retry REQUESTS SEED THREADS");
    };
    let threads = threads.parse().expect("a number of threads");
    let seed = 4 * seed.parse::<u64>().expect("a seed");
    let requests = requests.parse().expect("a number of requests");

    let mut client = Client::new(mode == "retry", requests, seed);
    let mut stages = [1, 2, 3].map(|stage| Stage::new(seed + stage));
    let client_box = Mailbox::new();
    let boxes = [(); 3].map(|()| Mailbox::new());
    client.tries.connect(Stage::arrive, &boxes[0]);
    stages[0].done.connect(Stage::arrive, &boxes[1]);
    stages[1].done.connect(Stage::arrive, &boxes[2]);
    stages[2].done.connect(Client::answer, &client_box);
    let (sink, mut seen) = event_slot(SinkState::Enabled);
    client.seen.connect_sink(sink);

    let mut bench = SimInit::with_num_threads(threads).add_model(client, client_box, "client");
    for (number, (stage, mailbox)) in stages.into_iter().zip(boxes).enumerate() {
        bench = bench.add_model(stage, mailbox, &format!("stage-{}", number + 1));
    }
    bench.init(MonotonicTime::EPOCH)?.run()?;

    let seen: Seen = seen.try_read().expect("requests were made");
    println!(
        "{{\"requests\": {}, \"mean_ms\": {}, \"tries\": {}, \"failed\": {}}}",
        seen.requests,
        seen.seconds * 1e3 / seen.requests as f64,
        seen.tries as f64 / seen.requests as f64,
        seen.failed
    );
    Ok(())
}
