//! The implementations that a process hosts: bytes in, bytes out.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use prost::{Message, Name};

use super::rules::Rules;
use super::{Call, ContractError, Contracts, MethodPolicy, Refusal};

type Outcome = Result<Vec<u8>, Refusal>;
/// `None`: it is too much work to be done where the call arrives.
type Attempt = Box<dyn Fn(&Rules, &[u8], &Call) -> Option<Outcome> + Send + Sync>;

/// The functions that answer a contract's methods.
#[derive(Default)]
pub struct Methods {
    functions: Vec<Function>,
}

struct Function {
    name: String,
    input: String,
    output: String,
    quick: Option<Attempt>,
    whole: Option<Attempt>,
}

impl Methods {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method whose work takes microseconds: it is done where the call arrives.
    #[must_use]
    pub fn light<Q, A, F>(self, name: &str, function: F) -> Self
    where
        Q: Message + Name + Default,
        A: Message + Name,
        F: Fn(&Q, &Call) -> Result<A, Refusal> + Send + Sync + 'static,
    {
        self.add::<Q, A>(name, Some(attempt(move |request, call| Some(function(request, call)))), None)
    }

    /// Adds a method whose work may take long: it is done on a thread that keeps no other call waiting, and asks
    /// [`Call::is_over`] now and then.
    #[must_use]
    pub fn heavy<Q, A, F>(self, name: &str, function: F) -> Self
    where
        Q: Message + Name + Default,
        A: Message + Name,
        F: Fn(&Q, &Call) -> Result<A, Refusal> + Send + Sync + 'static,
    {
        self.add::<Q, A>(name, None, Some(attempt(move |request, call| Some(function(request, call)))))
    }

    /// Like [`Methods::heavy`], with `quick` for the requests that take microseconds: it answers them where they arrive, and
    /// gives `None` for the others after microseconds too.
    #[must_use]
    pub fn heavy_unless<Q, A, P, F>(self, name: &str, quick: P, function: F) -> Self
    where
        Q: Message + Name + Default,
        A: Message + Name,
        P: Fn(&Q, &Call) -> Option<Result<A, Refusal>> + Send + Sync + 'static,
        F: Fn(&Q, &Call) -> Result<A, Refusal> + Send + Sync + 'static,
    {
        let whole = attempt(move |request, call| Some(function(request, call)));
        self.add::<Q, A>(name, Some(attempt(quick)), Some(whole))
    }

    fn add<Q: Name, A: Name>(mut self, name: &str, quick: Option<Attempt>, whole: Option<Attempt>) -> Self {
        let (input, output) = (Q::full_name(), A::full_name());
        self.functions.push(Function { name: name.to_owned(), input, output, quick, whole });
        self
    }
}

/// A function of messages as one of bytes, behind the rules of its request.
fn attempt<Q, A, F>(function: F) -> Attempt
where
    Q: Message + Name + Default,
    A: Message + Name,
    F: Fn(&Q, &Call) -> Option<Result<A, Refusal>> + Send + Sync + 'static,
{
    let input = Q::full_name();
    Box::new(move |rules, bytes, call| {
        let malformed = |error| Refusal::new("MALFORMED_REQUEST", format!("not a {}: {error}", Q::NAME));
        let kept = Q::decode(bytes).map_err(malformed).and_then(|request| {
            rules.check(&input, &request.encode_to_vec())?;
            Ok(request)
        });
        match kept {
            Ok(request) => Some(function(&request, call)?.map(|answer| answer.encode_to_vec())),
            Err(refusal) => Some(Err(refusal)),
        }
    })
}

/// One method that is hosted.
pub struct Method {
    /// What its contract says.
    pub policy: MethodPolicy,
    quick: Option<Attempt>,
    whole: Option<Attempt>,
}

/// The contracts that are answered here, each method behind the rules of its request.
pub struct Service {
    contracts: Contracts,
    rules: Rules,
    methods: HashMap<String, Method>,
}

impl Service {
    /// Hosts nothing yet.
    ///
    /// # Errors
    ///
    /// The descriptors are not an application's.
    pub fn new(descriptors: &[u8]) -> Result<Self, ContractError> {
        Ok(Self { contracts: Contracts::read(descriptors)?, rules: Rules::default(), methods: HashMap::new() })
    }

    /// Hosts a contract.
    ///
    /// # Errors
    ///
    /// A method is missing or not the contract's, has another request or answer, or a request has a rule that is not
    /// known here: such a contract is refused whole, since it would take what the reference refuses.
    pub fn host(&mut self, contract: &str, methods: Methods) -> Result<(), ContractError> {
        let mut left: HashMap<String, Function> =
            methods.functions.into_iter().map(|function| (function.name.clone(), function)).collect();
        for policy in self.contracts.methods(contract)?.to_vec() {
            let name = &policy.full_name;
            let found = left.remove(&policy.name);
            let Function { input, output, quick, whole, .. } =
                found.ok_or_else(|| ContractError(format!("{name} is not implemented")))?;
            if policy.streaming || input != policy.input || output != policy.output {
                return Err(ContractError(format!("{name} is no call from {input} to {output}")));
            }
            self.rules.learn(&self.contracts, &input)?;
            self.methods.insert(name.clone(), Method { policy, quick, whole });
        }
        match left.into_keys().next() {
            Some(name) => Err(ContractError(format!("{contract} has no method {name}"))),
            None => Ok(()),
        }
    }

    /// What the contracts say.
    #[must_use]
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// The hosted contracts, in order of name.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let mut names: Vec<String> = self.methods.values().map(|method| method.policy.service.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The method `package.Service/Method`, if it is hosted.
    #[must_use]
    pub fn method(&self, full_name: &str) -> Option<&Method> {
        self.methods.get(full_name)
    }

    /// Answers a call: decodes and checks the request, does the work, encodes the answer.
    ///
    /// # Errors
    ///
    /// Whatever went wrong, in the words of the vocabulary. What is no refusal (a panic, a reason that is not in the
    /// vocabulary) is an `INTERNAL` that shows nothing, and is given to `defect`.
    pub fn call(&self, full_name: &str, request: &[u8], call: &Call, defect: &dyn Fn(&str)) -> Outcome {
        let outcome = self.guarded(full_name, call, defect, |method| {
            let whole = method.whole.as_ref().or(method.quick.as_ref())?;
            whole(&self.rules, request, call)
        });
        // Every method has a function, and the whole one has an answer to everything.
        outcome.unwrap_or_else(|| Err(Refusal::internal()))
    }

    /// Answers a call if that is a matter of microseconds; `None` if it is not, and [`Service::call`] must be asked where
    /// it keeps nobody waiting. Errors are as there.
    pub fn call_if_quick(
        &self,
        full_name: &str,
        request: &[u8],
        call: &Call,
        defect: &dyn Fn(&str),
    ) -> Option<Outcome> {
        self.guarded(full_name, call, defect, |method| method.quick.as_ref()?(&self.rules, request, call))
    }

    fn guarded(
        &self,
        full_name: &str,
        call: &Call,
        defect: &dyn Fn(&str),
        work: impl FnOnce(&Method) -> Option<Outcome>,
    ) -> Option<Outcome> {
        let Some(method) = self.methods.get(full_name) else {
            return Some(Err(Refusal::new("UNIMPLEMENTED", format!("{full_name} is not hosted here"))));
        };
        if call.shadow && !method.policy.safe {
            let detail = format!("{full_name} may have effects, which nothing that a shadowed call leads to may have");
            return Some(Err(Refusal::new("PERMISSION_DENIED", detail)));
        }
        match catch_unwind(AssertUnwindSafe(|| work(method))) {
            Ok(Some(Err(refusal))) if self.contracts.reason(&refusal.reason).is_none() => {
                defect(&format!("reason outside the vocabulary: {}", refusal.reason));
                Some(Err(Refusal::internal()))
            }
            Ok(outcome) => outcome,
            Err(panic) => {
                defect(&format!("panicked: {}", said(panic.as_ref())));
                Some(Err(Refusal::internal()))
            }
        }
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::proto::{GetProcessStatsRequest, ProcessStats};

    const STATS: &str = "tricorn.v1.StatsService";
    const METHOD: &str = "tricorn.v1.StatsService/GetProcessStats";

    fn answering(
        function: impl Fn(&GetProcessStatsRequest, &Call) -> Result<ProcessStats, Refusal> + Send + Sync + 'static,
    ) -> Service {
        let mut service = Service::new(&[]).unwrap();
        service.host(STATS, Methods::new().light("GetProcessStats", function)).unwrap();
        service
    }

    fn call(service: &Service, request: &[u8]) -> (Result<Vec<u8>, Refusal>, Vec<String>) {
        let said = Mutex::new(Vec::new());
        let outcome =
            service.call(METHOD, request, &Call::default(), &|defect| said.lock().unwrap().push(defect.to_owned()));
        (outcome, said.into_inner().unwrap())
    }

    #[test]
    fn a_panic_is_an_internal_error_that_shows_nothing() {
        let service = answering(|_, _| panic!("the secret is {}", 42));

        let (outcome, said) = call(&service, b"");

        assert_eq!(outcome.unwrap_err(), Refusal::internal());
        assert_eq!(said, ["panicked: the secret is 42"]);
    }

    #[test]
    fn a_reason_outside_the_vocabulary_is_an_internal_error() {
        let service = answering(|_, _| Err(Refusal::new("OUT_OF_LUCK", "none left")));

        let (outcome, said) = call(&service, b"");

        assert_eq!(outcome.unwrap_err(), Refusal::internal());
        assert_eq!(said, ["reason outside the vocabulary: OUT_OF_LUCK"]);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        let service = answering(|_, _| Ok(ProcessStats::default()));

        let (outcome, said) = call(&service, b"\x0a\xff");

        assert_eq!(outcome.unwrap_err().reason, "MALFORMED_REQUEST");
        assert!(said.is_empty());
    }

    #[test]
    fn what_is_not_quick_is_left_to_a_call_that_may_take_long() {
        let mut service = Service::new(&[]).unwrap();
        let quick = |_: &GetProcessStatsRequest, call: &Call| {
            (!call.causation.is_empty()).then(|| Ok(ProcessStats { pid: 1, ..ProcessStats::default() }))
        };
        let whole = |_: &GetProcessStatsRequest, _: &Call| Ok(ProcessStats { pid: 2, ..ProcessStats::default() });
        service.host(STATS, Methods::new().heavy_unless("GetProcessStats", quick, whole)).unwrap();
        let mut easy = Call::default();
        easy.causation.push('x');

        let attempt = |call: &Call| service.call_if_quick(METHOD, b"", call, &|_| ());

        let pid = |outcome: Outcome| ProcessStats::decode(outcome.unwrap().as_slice()).unwrap().pid;
        assert_eq!(attempt(&easy).map(pid), Some(1));
        assert_eq!(attempt(&Call::default()), None);
        assert_eq!(pid(service.call(METHOD, b"", &Call::default(), &|_| ())), 2);
        // What breaks a rule, or is no message, is refused at once.
        assert!(service.call_if_quick(METHOD, b"\xff", &Call::default(), &|_| ()).unwrap().is_err());
    }

    #[test]
    fn what_is_not_hosted_is_unimplemented() {
        let service = Service::new(&[]).unwrap();

        let (outcome, _) = call(&service, b"");

        assert_eq!(outcome.unwrap_err().reason, "UNIMPLEMENTED");
    }

    #[test]
    fn a_contract_is_hosted_whole_or_not_at_all() {
        let mut service = Service::new(&[]).unwrap();
        let other = |_: &ProcessStats, _: &Call| Ok(ProcessStats::default());
        let right = |_: &GetProcessStatsRequest, _: &Call| Ok(ProcessStats::default());

        let mut refused = |methods| service.host(STATS, methods).unwrap_err().to_string();

        assert!(refused(Methods::new()).ends_with("GetProcessStats is not implemented"));
        assert!(refused(Methods::new().light("GetProcessStats", other)).contains("is no call from"));
        let more = Methods::new().light("GetProcessStats", right).light("Other", right);
        assert!(refused(more).ends_with("has no method Other"));
        assert!(service.host("a.B", Methods::new()).is_err());
    }
}
