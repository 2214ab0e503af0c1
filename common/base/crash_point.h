/* common/base/crash_point.h -- places at which a test can kill the process, named in the code that has to survive it.
 *
 * TALLY_CRASH_AT=<name> (or <name>:<n>, for the n-th time the process comes there) makes the process end by SIGKILL at
 * that point: nothing is flushed, closed or unwound, just as when a machine's owner pulls the process away. Always
 * compiled in, so what is tested is what is shipped; without the variable a point costs one getenv.
 * Names are "<what>.<when>": "publish.before_commit".
 * Thread: any, while nobody changes the environment. */
#ifndef TLY_BASE_CRASH_POINT_H
#define TLY_BASE_CRASH_POINT_H

void tly_crash_point(const char *name);

#endif
