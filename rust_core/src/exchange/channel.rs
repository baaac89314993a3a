//! One frame into or out of a queue, as futures: a full or empty queue suspends the task until the
//! next turn that the latch starts.

use std::task::{Context, Poll, ready};

use super::frames::Frame;
use crate::error::Result;
use crate::host::{Receive, Send};
use crate::session::SessionContext;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    Sent,
    /// The consumer wants no more. Part of the frame may be in the queue: nothing else may follow it.
    Stopped,
}

/// What a queue had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Frame,
    Nothing,
    Detached,
}

/// Sends `frame`; the same bytes are offered until they are in. False when the peer has detached.
pub fn poll_offer(session: &SessionContext, queue: u32, frame: &[u8], cx: &mut Context<'_>) -> Poll<Result<bool>> {
    match session.host().send(queue, frame, true) {
        Ok(Send::Sent) => Poll::Ready(Ok(true)),
        Ok(Send::Full) => {
            session.turn.wait_for_queue(cx.waker());
            Poll::Pending
        }
        Ok(Send::Detached) => Poll::Ready(Ok(false)),
        Err(error) => Poll::Ready(Err(error)),
    }
}

/// As `poll_offer`, until `stopped` says that nobody wants the frame.
pub fn poll_send(
    session: &SessionContext,
    queue: u32,
    frame: &[u8],
    stopped: impl Fn() -> bool,
    cx: &mut Context<'_>,
) -> Poll<Result<Sent>> {
    if stopped() {
        return Poll::Ready(Ok(Sent::Stopped));
    }
    if ready!(poll_offer(session, queue, frame, cx))? {
        return Poll::Ready(Ok(Sent::Sent));
    }
    // Either the session ends, and SessionEnd is on its way, or the peer died, and the leader says why.
    session.lose_peer();
    session.turn.wait_for_queue(cx.waker());
    Poll::Pending
}

/// Takes one frame out of `queue`, if there is one. `read` sees it once, while it lies in the queue.
pub fn try_receive(
    session: &SessionContext,
    queue: u32,
    read: &mut dyn FnMut(Frame<'_>) -> Result<()>,
) -> Result<Received> {
    Ok(match session.host().receive(queue, &mut |bytes| read(Frame::parse(bytes)?))? {
        Receive::Message => Received::Frame,
        Receive::Empty => Received::Nothing,
        Receive::Detached => Received::Detached,
    })
}
