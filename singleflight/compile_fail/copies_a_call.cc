#include "cohort/singleflight/group.h"

void Use(cohort::singleflight::Group<int, int>& group) {
  cohort::singleflight::Call<int> call =
      group.Start(cohort::Context(), 1, [] { return 1; });
  cohort::singleflight::Call<int> copy = call;
}
