//! The measure of the work, and its end.

/// Steps between two questions whether the caller still waits.
const BETWEEN_QUESTIONS: i64 = 1_000;

/// Why a search ended before everything was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// More work was to be done than the budget has steps left for.
    Spent,
    /// The caller gave up.
    Cancelled,
}

/// The budget that the components of a basket share.
pub(crate) struct Steps<'c> {
    budget: i64,
    pub taken: i64,
    /// Up to here nothing needs to be asked.
    horizon: i64,
    cancelled: &'c dyn Fn() -> bool,
}

impl<'c> Steps<'c> {
    pub fn new(budget: i64, cancelled: &'c dyn Fn() -> bool) -> Self {
        Self { budget, taken: 0, horizon: budget.min(BETWEEN_QUESTIONS), cancelled }
    }

    /// Takes all of them or none.
    pub fn take(&mut self, count: i64) -> Result<(), Ended> {
        if self.taken + count > self.horizon {
            self.ask(self.taken + count)?;
        }
        self.taken += count;
        Ok(())
    }

    #[cold]
    fn ask(&mut self, wanted: i64) -> Result<(), Ended> {
        if wanted > self.budget {
            return Err(Ended::Spent);
        }
        if (self.cancelled)() {
            return Err(Ended::Cancelled);
        }
        self.horizon = self.budget.min(wanted + BETWEEN_QUESTIONS);
        Ok(())
    }
}
