"""RECOVERY.txt, the first entry of every archive: how to read it by hand, for the day when nothing else is left."""

RECOVERY_TEXT = """\
如何手工读取本备份 / How to read this backup by hand
====================================================

中文
----
本文件是普通的 tar 归档（以 .tar.gz 结尾时为 gzip 压缩），无需任何专用软件：

    tar -xf 备份文件名.tar.gz

解压后得到：
  manifest.json                     清单：每张表的列、主键、行数，以及每个数据块的 SHA-256
  data/<应用>.<模型>/000000.json    数据块：JSON 数组，每个元素是一行；各列的顺序见清单中该表的 "columns"

读取一张表：按文件编号顺序读取该目录中的所有数据块，并核对：
  1. 清单中该表 "chunks" 的每一项都有对应文件，且文件的 SHA-256 等于 "sha256"；
  2. 行数之和等于该表的 "rows"。
增量备份：若某项的 "archive" 不是清单的 "id"，该数据块在 "needs" 所列的另一个归档中：解压那个归档，
取 SHA-256 等于 "sha256" 的文件。
注意：tar 和 gzip 都不会报告所有损坏，只有上述核对才能说明数据完整。

加密的备份（以 .age.tar 结尾）：每个条目都是一个 age 文件，名称不透露内容。需要三样东西：归档、旁边的
“备份名.key.age”，以及您的身份文件（AGE-SECRET-KEY-…）。先取出归档自己的密钥，再逐个解密：

    age -d -i 身份文件 备份名.key.age > 归档密钥.txt
    tar -xf 备份名.age.tar
    age -d -i 归档密钥.txt manifest.json.gz.age | gzip -d > manifest.json
    age -d -i 归档密钥.txt data/000001.json.gz.age | gzip -d

（未压缩时没有 .gz，也不需要 gzip。）数据块按清单中的顺序编号；借用的数据块在另一个归档中，用那个归档的
密钥解密，取 SHA-256 等于 "sha256" 的那个。

值的写法：SQLite 的值按存储类写出，{"$blob": …} 为 base64，{"$real": "inf"} 为无穷大；
PostgreSQL 的值一律是 PostgreSQL 自身的文本（时区为 UTC），null 表示空值。

English
-------
This is a plain tar archive (gzip-compressed if its name ends in .tar.gz). No special software is needed:

    tar -xf NAME.tar.gz

That gives you:
  manifest.json                     each table's columns, key and row count, and the SHA-256 of every chunk
  data/<app>.<model>/000000.json    chunks: JSON arrays of rows; a row's values stand in the order of "columns"

To read a table, read all chunks of its folder in the order of their numbers, and check that
  1. every item of the table's "chunks" has its file, and the file's SHA-256 is the item's "sha256";
  2. the rows add up to the table's "rows".
Of an incremental backup: where an item's "archive" is not the manifest's "id", the chunk lies in another of the
archives in "needs". Unpack that one too, and take the file whose SHA-256 is "sha256".
Neither tar nor gzip reports every damage: only these checks tell that nothing is missing.

Of an encrypted backup (its name ends in .age.tar) every entry is an age file, under a name that tells nothing. You need
the archive, NAME.key.age beside it, and your identity file (AGE-SECRET-KEY-…). Get the archive's own key first:

    age -d -i IDENTITY NAME.key.age > archive-key.txt
    tar -xf NAME.age.tar
    age -d -i archive-key.txt manifest.json.gz.age | gzip -d > manifest.json
    age -d -i archive-key.txt data/000001.json.gz.age | gzip -d

(Without compression there is no .gz, and no gzip.) The chunks of an archive are numbered in the order of the manifest.
A borrowed chunk is in another archive and is decrypted with that one's key: take the one whose SHA-256 is "sha256".

Values: those of SQLite are written by storage class, {"$blob": …} is base64, {"$real": "inf"} an infinity;
those of PostgreSQL are PostgreSQL's own text (time zone UTC), null is NULL.
"""
