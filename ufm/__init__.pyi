from . import encodings as encodings
from .campaign import Campaign as Campaign
from .campaign import load_campaign as load_campaign
from .catalogue import Theorem as Theorem
from .catalogue import catalogue as catalogue
from .compare import Comparison as Comparison
from .compare import compare as compare
from .errors import ProblemError as ProblemError
from .errors import UfmError as UfmError
from .flow import Flow as Flow
from .flow import State as State
from .flow import simulate as simulate
from .measure import measure as measure
from .optimum import Optimum as Optimum
from .optimum import solve as solve
from .problem import Problem as Problem
from .problem import classes as classes
from .problem import gradient as gradient
from .problem import objective as objective
from .problem import samples as samples
from .record import Record as Record
from .record import load as load
from .record import stack as stack
from .referee import Report as Report
from .referee import Verdict as Verdict
from .referee import check as check

__version__: str
