//! Errors as C reads them.

use std::cell::RefCell;
use std::ffi::{CString, c_char};

use super::types::PgjsError;
use crate::error::{Error, sqlstate};

/// The texts behind a `PgjsError`, which points into them.
#[derive(Default)]
pub struct ErrorTexts {
    sqlstate: [c_char; 8],
    message: Option<CString>,
    detail: Option<CString>,
    hint: Option<CString>,
    context: Option<CString>,
}

thread_local! {
    /// The last failure that has no object to belong to.
    static LAST: RefCell<ErrorTexts> = RefCell::default();
}

fn text(text: &str) -> Option<CString> {
    CString::new(text.replace('\0', " ")).ok()
}

impl ErrorTexts {
    pub fn new(error: &Error) -> Self {
        match error {
            Error::Parked => Self::default(),
            Error::Cancelled => Self::new(&Error::new(sqlstate::QUERY_CANCELED, error.to_string())),
            Error::Raised { sqlstate, message, detail, hint, context } => {
                let mut code = [0; 8];
                for (slot, byte) in code.iter_mut().zip(sqlstate.bytes().take(5)) {
                    *slot = byte as c_char;
                }
                Self {
                    sqlstate: code,
                    message: text(message),
                    detail: detail.as_deref().and_then(text),
                    hint: hint.as_deref().and_then(text),
                    context: context.as_deref().and_then(text),
                }
            }
        }
    }

    /// Keeps the texts until the next failure on this thread.
    pub fn keep_for_thread(error: &Error) -> PgjsError {
        LAST.with_borrow_mut(|last| {
            *last = Self::new(error);
            last.as_c()
        })
    }

    pub fn as_c(&self) -> PgjsError {
        let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        PgjsError {
            sqlstate: self.sqlstate,
            message: pointer(&self.message),
            detail: pointer(&self.detail),
            hint: pointer(&self.hint),
            context: pointer(&self.context),
            _reserved: 0,
        }
    }
}
