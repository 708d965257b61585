#include "cohort/context/context.h"
#include "cohort/errgroup/group.h"

cohort::Context Dead() { return cohort::errgroup::Group().context(); }
