/* serving_layer/point.h -- SELECT outputs FROM view WHERE every key = a value: answered at once, on the loop.
 *
 * Path of a request: session -> [point] -> socket, without SQLite's executor, a thread or a JSON tree: the run's block
 * and the live groups of one key are merged, finished and encoded into the output buffer. Thread: the loop's. */
#ifndef TLY_SERVING_POINT_H
#define TLY_SERVING_POINT_H

#include "common/wire/request.h"
#include "serving_layer/store_source.h"

typedef struct tly_points tly_points;

/* `programs` and `source` are borrowed. */
tly_points *tly_points_new(const struct tly_programs *programs, tly_store_source *source);
void tly_points_free(tly_points *points);

/* Append the whole reply to *out, and return true, when the request is such a query and there is nothing wrong with it.
 * False, with *out untouched: the pool has to see to it (it may also only be an error, which it words). */
bool tly_points_answer(tly_points *points, const struct tly_request *request, struct tly_buffer *out);
/* The same from a line, for statements seen before and lines in the common form. */
bool tly_points_answer_line(tly_points *points, const char *line, size_t size, struct tly_buffer *out);

/* One look at speed.db serves all queries of some turns of the loop, TLY_LOOK_US_MAX at most: a read transaction costs
 * more than a point query. Whatever may know of a newer state (an answer of the pool or of another layer, a ring of the
 * speed layer) ends it, so that nobody sees the state go back. */
enum { TLY_LOOK_US_MAX = 1000 };
void tly_points_end_look(tly_points *points);
/* Before the loop sleeps: end a look that is old enough. True: it goes on, and has to be ended after TLY_LOOK_US_MAX.
 */
bool tly_points_keep_look(tly_points *points);
/* Every few seconds: let go of the runs of views nobody asked for since the last call, so that they can be deleted. */
void tly_points_rest(tly_points *points);
/* The positions of all streams in the look. */
TLY_CHECK enum tly_status tly_points_positions(tly_points *points, struct tly_arena *arena, struct tly_position **out,
                                               uint32_t *count);

#endif
