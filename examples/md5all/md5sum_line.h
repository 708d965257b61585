// The output format of md5sum.

#ifndef MD5ALL_MD5SUM_LINE_H_
#define MD5ALL_MD5SUM_LINE_H_

#include <string>

#include "md5all/digest_tree.h"

namespace md5all {

// "DIGEST  PATH\n". A path with a backslash, newline or carriage return has
// these escaped, and the line then begins with a backslash: one file is one
// line, and `md5sum --check` reads it.
std::string Md5sumLine(const FileDigest& file);

}  // namespace md5all

#endif  // MD5ALL_MD5SUM_LINE_H_
