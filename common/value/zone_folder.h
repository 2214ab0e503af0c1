/* common/value/zone_folder.h -- time zones by name, from the system's folder of rules (Debian package tzdata).
 *
 * The folder is $TZDIR, as for the C library, else /usr/share/zoneinfo. A zone is read when it is first asked for and
 * kept as long as the process lives, so a process keeps the rules it has begun with.
 * Thread: any; a zone that was found before costs no lock. */
#ifndef TLY_VALUE_ZONE_FOLDER_H
#define TLY_VALUE_ZONE_FOLDER_H

#include "common/value/text.h"
#include "common/value/time_zone.h"

/* Names are full names ('Europe/Berlin') in any case, and UTC, UCT, GMT, Z and ZULU, which need no file. Unknown:
 * 22023. What PostgreSQL reads otherwise or besides is 0A000: abbreviations that a file is called by ('CET'), rules
 * ('UTC+3'). No folder of rules: F0000, and says what to install. The zone is borrowed, for ever. */
TLY_CHECK enum tly_status tly_time_zone_find(struct tly_text name, const tly_time_zone **out, struct tly_error *error);

#endif
