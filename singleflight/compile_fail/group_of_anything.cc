#include <any>

#include "cohort/singleflight/group.h"

cohort::singleflight::Group<int, std::any> group;
