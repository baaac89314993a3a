//! The control service: what a participant does when another one asks. And the outboxes, which ask.

use std::sync::Arc;

use futures::future::poll_fn;
use std::task::Poll;
use tokio::sync::mpsc;

use super::channel::{self, Received};
use super::frames::Frame;
use super::key_filter::KeyFilter;
use super::state::{CONTROL_CHANNEL, Exchange};
use crate::error::{Error, Result};

/// Serves the control queues of all peers until SessionEnd, or until the leader's is detached.
pub async fn control_service(exchange: Arc<Exchange>) -> Result<()> {
    let topology = exchange.session.topology;
    let mut peers: Vec<u32> = (0..topology.participants).filter(|&peer| peer != topology.participant).collect();
    poll_fn(move |cx| {
        let mut at = 0;
        while at < peers.len() {
            let peer = peers[at];
            let queue = topology.queue(CONTROL_CHANNEL, peer, topology.participant);
            let received = channel::try_receive(&exchange.session, queue, &mut |frame| {
                exchange.session.trace(|| format!("{} from {peer}", frame.describe()));
                serve(&exchange, peer, frame)
            });
            match received {
                Err(error) => return Poll::Ready(Err(error)),
                Ok(Received::Frame) => {}
                Ok(Received::Nothing) => at += 1,
                Ok(Received::Detached) if peer == 0 => {
                    // The leader is gone, its abort will end this worker: stop working at once.
                    exchange.note_end();
                    peers.remove(at);
                }
                Ok(Received::Detached) => {
                    exchange.session.lose_peer();
                    at += 1;
                }
            }
        }
        exchange.session.turn.wait_for_queue(cx.waker());
        Poll::Pending
    })
    .await
}

fn serve(exchange: &Arc<Exchange>, peer: u32, frame: Frame<'_>) -> Result<()> {
    match frame {
        Frame::StartStream { stream, filter } => {
            let filter = if filter.is_empty() { None } else { Some(KeyFilter::from_bytes(filter)?) };
            exchange.trigger_stream(stream, peer, filter)
        }
        Frame::StopStream { stream } => exchange.note_stop(stream, peer),
        Frame::SessionEnd if peer == 0 => {
            exchange.note_end();
            Ok(())
        }
        other => Err(Error::internal(format!("unexpected {} from participant {peer}", other.name()))),
    }
}

/// Sends the control frames for `peer` one after another; ends when nobody can send any more.
pub async fn outbox(exchange: Arc<Exchange>, peer: u32, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    let topology = exchange.session.topology;
    let queue = topology.queue(CONTROL_CHANNEL, topology.participant, peer);
    while let Some(frame) = frames.recv().await {
        match poll_fn(|cx| channel::poll_offer(&exchange.session, queue, &frame, cx)).await {
            Ok(true) => {}
            // Whoever is gone needs no message.
            Ok(false) => {
                exchange.session.lose_peer();
                return;
            }
            Err(error) => return exchange.fail(error),
        }
    }
}
