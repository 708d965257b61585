#include <memory>

int Twice(int x) { return 2 * x; }
