"""RECOVERY.txt, the first entry of every archive: how to read it by hand, for the day when nothing else is left."""

from __future__ import annotations

from .codecs import CODECS


def recovery_text(codec: str) -> str:
    """In an encrypted archive it is all that can be read without a key, and so says nothing of what the others hold."""
    found = CODECS[codec]
    if not found.encrypted:
        return RECOVERY_TEXT
    unpack = " | gunzip" if found.ending.startswith(".gz") else ""
    return SEALED_TEXT.replace("ENDING", found.ending).replace(" UNPACK", unpack)


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

Values: those of SQLite are written by storage class, {"$blob": …} is base64, {"$real": "inf"} an infinity;
those of PostgreSQL are PostgreSQL's own text (time zone UTC), null is NULL.
"""

SEALED_TEXT = """\
如何手工读取本加密备份 / How to read this encrypted backup by hand
==================================================================

中文
----
本文件是普通的 tar 归档，其中除本说明外的每个文件都用 age 加密
（https://age-encryption.org；Debian、Ubuntu：apt install age）。
需要三样东西：本归档 NAME.age.tar、同名的密钥文件 NAME.key.age，以及您保管的私钥文件（下称 IDENTITY）。
若密钥文件是用口令加密的，去掉第一条命令中的 "-i IDENTITY"，age 会询问口令。

    age -d -i IDENTITY NAME.key.age > NAME.key
    tar -xf NAME.age.tar
    age -d -i NAME.key manifest.jsonENDING UNPACK > manifest.json
    for f in data/*ENDING; do age -d -i NAME.key "$f" UNPACK > "${f%ENDING}"; done

得到：
  manifest.json       清单：每张表的列、主键、行数，以及每个数据块的 SHA-256
  data/000000.json    数据块：JSON 数组，每个元素是一行；各列的顺序见清单中该表的 "columns"
文件编号按清单中数据块出现的顺序，只计 "archive" 等于清单 "id" 的数据块。

读取一张表：按清单中该表 "chunks" 的顺序取出数据块，并核对：
  1. 每一项都有对应文件，且文件的 SHA-256 等于 "sha256"；
  2. 行数之和等于该表的 "rows"。
增量备份：若某项的 "archive" 不是清单的 "id"，该数据块在 "needs" 所列的另一个归档中：用那个归档自己的密钥文件
同样解密，取 SHA-256 等于 "sha256" 的文件。
注意：tar 和 gzip 都不会报告所有损坏，age 也不能证明归档出自谁手；用完请删除 NAME.key 和解密后的文件。

值的写法：SQLite 的值按存储类写出，{"$blob": …} 为 base64，{"$real": "inf"} 为无穷大；
PostgreSQL 的值一律是 PostgreSQL 自身的文本（时区为 UTC），null 表示空值。

English
-------
This is a plain tar archive. Every file in it but this one is encrypted with age (https://age-encryption.org; Debian and
Ubuntu: apt install age). You need three things: this archive, NAME.age.tar, the key file NAME.key.age, and the file
with the secret key that you kept (IDENTITY below). If the key file was encrypted with a passphrase, leave "-i IDENTITY"
out of the first command; age asks for it.

    age -d -i IDENTITY NAME.key.age > NAME.key
    tar -xf NAME.age.tar
    age -d -i NAME.key manifest.jsonENDING UNPACK > manifest.json
    for f in data/*ENDING; do age -d -i NAME.key "$f" UNPACK > "${f%ENDING}"; done

That gives you:
  manifest.json       each table's columns, key and row count, and the SHA-256 of every chunk
  data/000000.json    chunks: JSON arrays of rows; a row's values stand in the order of "columns"
The numbers follow the order of the chunks in the manifest; only those count whose "archive" is the manifest's "id".

To read a table, take its chunks in the order of its "chunks" in the manifest, and check that
  1. every item has its file, and the file's SHA-256 is the item's "sha256";
  2. the rows add up to the table's "rows".
Of an incremental backup: where an item's "archive" is not the manifest's "id", the chunk lies in another of the
archives in "needs". Decrypt that one too, with its own key file, and take the file whose SHA-256 is "sha256".
Neither tar nor gzip reports every damage, and age does not tell who made an archive. Delete NAME.key and what you
decrypted when you are done.

Values: those of SQLite are written by storage class, {"$blob": …} is base64, {"$real": "inf"} an infinity;
those of PostgreSQL are PostgreSQL's own text (time zone UTC), null is NULL.
"""
