//! Panics become errors that name their place.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Once;

use crate::error::Error;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the place of each panic for `to_error`, in place of printing it to the server's log. Idempotent.
pub fn keep_place() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let _previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            #[cfg(test)]
            _previous(info); // a failed assertion should be seen
            let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
            PLACE.with_borrow_mut(|slot| *slot = place);
        }));
    });
}

/// XX000 with the panic's message, and its place as detail.
pub fn to_error(panic: Box<dyn Any + Send>) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_string());
    let error = Error::internal(format!("JoinScan failed: {message}"));
    match PLACE.with_borrow_mut(Option::take) {
        Some(place) => error.with_detail(format!("It happened at {place}.")),
        None => error,
    }
}
