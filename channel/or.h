// channel::Or is cohort::Or, under the name that the tutorials on channels give
// it.

#ifndef COHORT_CHANNEL_OR_H_
#define COHORT_CHANNEL_OR_H_

#include "cohort/context/or.h"

namespace cohort::channel {

using Or = ::cohort::Or;

}  // namespace cohort::channel

#endif  // COHORT_CHANNEL_OR_H_
