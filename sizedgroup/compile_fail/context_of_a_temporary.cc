#include "cohort/context/context.h"
#include "cohort/sizedgroup/sized_group.h"

cohort::Context Dead() { return cohort::sizedgroup::SizedGroup(1).context(); }
