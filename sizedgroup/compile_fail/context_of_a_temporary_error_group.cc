#include "cohort/context/context.h"
#include "cohort/sizedgroup/wait_group.h"

cohort::Context Dead() {
  return cohort::sizedgroup::ErrorGroup(cohort::Context(), 1).context();
}
